from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.sampler.acqf_search import RAW_CANDIDATES, Search, first_unseen, sobol
from hpo.sampler.acquisition import acquisition
from hpo.sampler.domain import Domain
from hpo.sampler.surrogate import Hyperparameters, Surrogate
from hpo.space import Space


@dataclass(frozen=True)
class Bowl:
    """-|x - optimum|^2, categories by Hamming distance, an inactive dimension costs ``inactive``."""

    domain: Domain
    optimum: np.ndarray
    inactive: float = 1.0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        difference = (x.nan_to_num(0.0) - torch.from_numpy(self.optimum)).square()
        categorical = torch.from_numpy(self.domain.space.categorical)
        cost = torch.where(categorical, (difference > 1e-12).double(), difference)
        return -torch.where(x.isnan(), self.inactive, cost).sum(-1)


def _search(space: Space, goal: object) -> Search:
    return Search(goal, Domain.of(space), np.ones(len(space)))  # type: ignore[arg-type]


def test_finds_the_optimum_of_a_mixed_conditional_bowl(mixed: Space) -> None:
    domain = Domain.of(mixed)
    params = {"rate": 0.0123, "steps": 7, "size": 200, "cell": "lstm", "forget": 0.77, "peephole": False}
    optimum = mixed.encode(params)
    # starts from a point where the optimum's dimensions are not active
    incumbent = mixed.encode({"rate": 1.0, "steps": 1, "size": 8, "cell": "rnn"})
    search = _search(mixed, Bowl(domain, optimum))
    best = next(search.ranked(incumbent, np.random.default_rng(0)))
    np.testing.assert_allclose(best, optimum, atol=1e-2)
    found = mixed.decode(best)
    assert {name: found[name] for name in ("steps", "size", "cell", "peephole")} == {
        name: params[name] for name in ("steps", "size", "cell", "peephole")
    }


@pytest.mark.parametrize("value", [1, 2, 499, 500, 731, 999, 1000])
def test_line_search_finds_the_value_of_a_wide_int(value: int) -> None:
    space = Space.from_search({"n": IntDimension(type="int", low=1, high=1000)})
    search = _search(space, Bowl(Domain.of(space), space.encode({"n": value})))
    for start in (1, 300, 1000):
        climbed = search.climb(space.encode({"n": start})[None])
        assert space.decode(climbed[0])["n"] == value


def test_a_space_of_few_points_is_searched_exactly() -> None:
    space = Space.from_search(
        {
            "n": IntDimension(type="int", low=1, high=30),
            "kind": CategoricalDimension(type="categorical", choices=list("abcdef")),
        }
    )
    domain = Domain.of(space)
    values = torch.rand(180, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def goal(x: torch.Tensor) -> torch.Tensor:
        return values[((x[:, 0] * 30).floor() * 6 + (x[:, 1] * 6).floor()).long()]

    ranked = list(_search(space, goal).ranked(np.array([0.5, 0.5]), np.random.default_rng(0)))
    assert len({domain.key(space.decode(x)) for x in ranked}) == 180
    np.testing.assert_array_equal(goal(torch.from_numpy(np.array(ranked))), values.sort(descending=True).values)


@pytest.mark.parametrize("seed", range(5))
def test_never_worse_than_the_best_raw_candidate_or_the_incumbent(mixed: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    domain = Domain.of(mixed)
    x = domain.canonical(domain.snap(rng.random((20, len(domain)))))
    z = rng.normal(size=20)
    surrogate = Surrogate.condition(domain, x, z, Hyperparameters(tuple(rng.uniform(1, 20, 6)), 1.0, 0.01))
    goal = acquisition(surrogate, float(z.min()), torch.from_numpy(x[:seed]), seed)
    search = Search(goal, domain, surrogate.lengthscales)
    incumbent = x[z.argmin()]
    ranked = np.array(list(search.ranked(incumbent, np.random.default_rng(seed))))
    a = goal(torch.from_numpy(ranked)).numpy()
    assert (np.diff(a) <= 1e-9).all()
    raw = domain.canonical(domain.snap(sobol(len(domain), RAW_CANDIDATES, np.random.default_rng(seed))))
    assert a[0] >= goal(torch.from_numpy(np.vstack([raw, incumbent]))).max() - 1e-9
    # no point next to the best one, in any one dimension, is better
    nearby = np.repeat(domain.snap(ranked[:1]), 60, 0)
    for row in nearby:
        j = rng.integers(len(domain))
        row[j] = rng.random() if domain.grids[j] is None else rng.choice(domain.grids[j])
    assert a[0] >= search.evaluate(nearby).max() - 0.02


def test_climbing_never_makes_a_start_worse(mixed: Space) -> None:
    domain = Domain.of(mixed)
    search = _search(mixed, Bowl(domain, np.full(len(domain), 0.3), inactive=0.1))
    starts = domain.snap(np.random.default_rng(0).random((30, len(domain))))
    assert (search.evaluate(search.climb(starts)) >= search.evaluate(starts)).all()


def test_categories_stay_on_their_grid(plain: Space) -> None:
    domain = Domain.of(plain)
    search = _search(plain, Bowl(domain, np.array([0.5, 0.5, 0.4])))
    climbed = search.climb(domain.snap(np.random.default_rng(0).random((20, 3))))
    assert set(climbed[:, 2]) <= set(domain.grids[2])


def test_sobol_points_go_on_where_they_stopped() -> None:
    whole = sobol(3, 20, np.random.default_rng(7))
    np.testing.assert_array_equal(sobol(3, 5, np.random.default_rng(7), first=12), whole[12:17])
    assert ((whole >= 0) & (whole <= 1)).all()


def test_first_unseen_passes_over_what_was_tried() -> None:
    space = Space.from_search({"a": FloatDimension(type="float", low=0.0, high=1.0)})
    domain = Domain.of(space)
    seen = {domain.key({"a": 0.25})}
    points = np.array([[0.25], [0.75]])
    assert first_unseen(iter(points), domain, seen, limit=2) == points[1]
    assert first_unseen(iter(points), domain, seen, limit=1) is None
