from __future__ import annotations

import itertools
import math

import numpy as np

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.sampler.domain import Domain
from hpo.space import Space


def test_snap_takes_the_nearest_grid_value_and_keeps_continuous_ones(mixed: Space) -> None:
    domain = Domain.of(mixed)
    u = np.random.default_rng(0).random((200, len(domain)))
    snapped = domain.snap(u)
    for j, grid in enumerate(domain.grids):
        expected = u[:, j] if grid is None else grid[np.abs(u[:, j, None] - grid).argmin(1)]
        np.testing.assert_array_equal(snapped[:, j], expected)
    np.testing.assert_array_equal(domain.snap(snapped), snapped)


def test_snap_gives_an_inactive_dimension_a_value(mixed: Space) -> None:
    domain = Domain.of(mixed)
    assert not np.isnan(domain.snap(np.full((1, len(domain)), np.nan))).any()


def test_active_agrees_with_the_space_row_by_row(mixed: Space) -> None:
    domain = Domain.of(mixed)
    u = domain.snap(np.random.default_rng(1).random((100, len(domain))))
    np.testing.assert_array_equal(domain.active(u), [mixed.active(row) for row in u])


def test_canonical_points_of_equal_configs_are_equal(mixed: Space) -> None:
    domain = Domain.of(mixed)
    u = domain.snap(np.full((2, len(domain)), 0.1))
    forget = mixed.names.index("forget")
    u[1, forget] = 0.9  # inactive where the cell is an rnn
    first, second = domain.canonical(u)
    np.testing.assert_array_equal(first, second)
    assert domain.key(mixed.decode(u[0])) == domain.key(mixed.decode(u[1]))


def test_canonical_points_are_what_encode_gives(mixed: Space) -> None:
    domain = Domain.of(mixed)
    x = domain.canonical(domain.snap(np.random.default_rng(2).random((100, len(domain)))))
    np.testing.assert_allclose(domain.encode([mixed.decode(row) for row in x]), x, atol=1e-12)


def test_enumerate_gives_every_config_once() -> None:
    space = Space.from_search(
        {
            "kind": CategoricalDimension(type="categorical", choices=["a", "b"]),
            "steps": IntDimension(type="int", low=1, high=3, when={"kind": ["a"]}),
            "order": CategoricalDimension(type="categorical", choices=[1, 2], when={"steps": [2, 3]}),
        }
    )
    domain = Domain.of(space)
    configs = [tuple(space.decode(x).items()) for x in domain.enumerate()]
    expected = {
        tuple(space.decode(space.encode({"kind": kind, "steps": steps, "order": order})).items())
        for kind, steps, order in itertools.product("ab", [1, 2, 3], [1, 2])
    }
    assert len(configs) == len(set(configs)) == 6
    assert set(configs) == expected
    assert domain.size == 12


def test_size_is_infinite_with_a_continuous_dimension(plain: Space) -> None:
    assert Domain.of(plain).size == math.inf
    assert Domain.of(Space.from_search({"a": FloatDimension(type="float", low=2.0, high=2.0)})).size == 1


def test_contains_refuses_what_is_no_point_of_the_space(mixed: Space) -> None:
    domain = Domain.of(mixed)
    point = {"rate": 0.1, "steps": 3, "size": 64, "cell": "rnn"}
    assert domain.contains(point)
    assert not domain.contains({**point, "rate": 2.0})
    assert not domain.contains({**point, "steps": "many"})
    assert not domain.contains({**point, "cell": "lstm"})  # lacks what is active then
    assert not domain.contains({**point, "forget": 0.5})  # has what is not
    assert not domain.contains({name: point[name] for name in ("rate", "steps")})
