from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpo.config.search import CategoricalDimension, Dimension, FloatDimension, IntDimension
from hpo.space import MAX_GRID, OutsideSpace, Params, Space


def real(low: float, high: float, **keys: Any) -> FloatDimension:
    return FloatDimension(type="float", low=float(low), high=float(high), **keys)


def integer(low: int, high: int, **keys: Any) -> IntDimension:
    return IntDimension(type="int", low=low, high=high, **keys)


def categories(*choices: Any, **keys: Any) -> CategoricalDimension:
    return CategoricalDimension(type="categorical", choices=list(choices), **keys)


def one(dimension: Dimension) -> Space:
    return Space.from_search({"x": dimension})


@st.composite
def floats(draw: st.DrawFn) -> FloatDimension:
    log = draw(st.booleans())
    number = st.floats(1e-300, 1e300) if log else st.floats(-1e6, 1e6)
    low, high = sorted((draw(number), draw(number)))
    if log or draw(st.booleans()):
        return real(low, high, log=log)
    step = draw(st.sampled_from([0.1, 0.25, 1e-3, 0.3, 7.0]))
    low = round(low, 2)
    return real(low, low + draw(st.floats(0.0, 900.0)) * step, step=step)


@st.composite
def integers(draw: st.DrawFn) -> IntDimension:
    log = draw(st.booleans())
    low, high = sorted(draw(st.tuples(*[st.integers(1 if log else -(10**12), 10**12)] * 2)))
    return integer(low, high, log=log, step=1 if log else draw(st.integers(1, 1000)))


@st.composite
def choices(draw: st.DrawFn) -> CategoricalDimension:
    scalar = st.booleans() | st.integers(2, 9) | st.floats(10.5, 20.5) | st.text(max_size=3)
    return categories(*draw(st.lists(scalar, min_size=1, max_size=6, unique=True)))


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Up to 6 dimensions in any order, each on a condition of any that comes before it in another order."""
    names = draw(st.permutations([f"x{i}" for i in range(draw(st.integers(1, 6)))]))
    search: dict[str, Any] = {}
    for name in names:
        dimension = draw(st.one_of(floats(), integers(), choices()))
        parents = [other for other, config in search.items() if config.values is not None]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            values = search[parent].values
            chosen = {values[draw(st.integers(0, len(values) - 1))] for _ in range(2)}
            dimension = dimension.model_copy(update={"when": {parent: sorted(chosen, key=str)}})
        search[name] = dimension
    return Space.from_search({name: search[name] for name in draw(st.permutations(names))})


def points(space: Space) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.floats(0.0, 1.0), min_size=len(space), max_size=len(space)).map(np.array)


def close(space: Space, one_params: Params, other: Params) -> bool:
    """Equal; continuous floats to 1e-12 of the largest number of their range."""
    if one_params.keys() != other.keys():
        return False
    for dimension in space.dimensions:
        a, b = one_params.get(dimension.name), other.get(dimension.name)
        if dimension.values is None and a is not None:
            config = dimension.config
            scale = abs(a) if config.log else max(abs(config.low), abs(config.high))
            if abs(a - b) > 1e-12 * scale:
                return False
        elif a != b or type(a) is not type(b):
            return False
    return True


@settings(deadline=None)
@given(st.data())
def test_decoding_inverts_encoding(data: st.DataObject) -> None:
    space = data.draw(spaces())
    params = space.decode(data.draw(points(space)))
    x = space.encode(params)
    assert x.shape == (len(space),)
    assert x.dtype == np.float64
    assert np.array_equal(~np.isnan(x), [name in params for name in space.names])
    assert np.all((x[~np.isnan(x)] >= 0) & (x[~np.isnan(x)] <= 1))
    assert close(space, space.decode(x), params)


@settings(deadline=None)
@given(st.data())
def test_a_point_is_found_among_the_values_of_all_fields(data: st.DataObject) -> None:
    """What is inactive there, and what is not searched, is left out."""
    space = data.draw(spaces())
    params, others = (space.decode(data.draw(points(space))) for _ in range(2))
    assert space.params_of({"elsewhere": 1, **others, **params}) == params


@pytest.mark.parametrize(("values", "path"), [({}, "cell"), ({"cell": "gru"}, "cell"), ({"cell": "rnn"}, "kind")])
def test_a_value_that_no_dimension_has_is_named(values: Params, path: str) -> None:
    dimensions = {
        "cell": CategoricalDimension(type="categorical", choices=["rnn", "lstm"]),
        "kind": IntDimension(type="int", low=1, high=2, when={"cell": ["rnn"]}),
    }
    with pytest.raises(OutsideSpace, match=path) as found:
        Space.from_search(dimensions).params_of(values)
    assert (found.value.path, found.value.value) == (path, values.get(path))


@settings(deadline=None)
@given(st.data())
def test_active_agrees_with_decode_and_is_active(data: st.DataObject) -> None:
    space = data.draw(spaces())
    x = data.draw(points(space))
    params = space.decode(x)
    assert space.active(x).tolist() == [name in params for name in space.names]
    assert [space.is_active(j, params) for j in range(len(space))] == space.active(x).tolist()
    assert space.is_conditional or space.active(x).all()


@settings(deadline=None)
@given(st.data())
def test_a_dimension_comes_after_those_it_hangs_on(data: st.DataObject) -> None:
    space = data.draw(spaces())
    for j, dimension in enumerate(space.dimensions):
        assert dimension.when.keys() <= set(space.names[:j])


@settings(deadline=None)
@given(st.one_of(floats(), integers(), choices()))
def test_the_grid_is_ascending_inside_and_of_all_values(dimension: Dimension) -> None:
    space = one(dimension)
    grid = space.grid(0)
    if grid is None:
        values = dimension.values
        assert values is None or len(values) > MAX_GRID
        return
    assert np.all(np.diff(grid) > 0)
    assert 0 <= grid[0] <= grid[-1] <= 1
    assert [space.decode(np.array([u]))["x"] for u in grid] == list(dimension.values or ())


@settings(deadline=None)
@given(st.one_of(floats(), integers(), choices()), st.floats(0.0, 1.0))
def test_a_coordinate_snaps_to_a_grid_point_next_to_it(dimension: Dimension, u: float) -> None:
    space = one(dimension)
    grid = space.grid(0)
    assume(grid is not None and len(grid) > 1)
    snapped = space.encode(space.decode(np.array([u])))[0]
    k = int(np.flatnonzero(grid == snapped)[0])
    assert k == 0 or grid[k - 1] <= u
    assert k == len(grid) - 1 or u <= grid[k + 1]


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (integer(3, 7), [3, 4, 5, 6, 7]),
        (integer(0, 10, step=4), [0, 4, 8]),
        (real(0, 1, step=0.25), [0.0, 0.25, 0.5, 0.75, 1.0]),
        (real(0, 0.7, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (real(0, 1, step=0.3), [0.0, 0.3, 0.6, 0.9]),
        (real(0, 1, step=2.0), [0.0]),
        (categories("a", "b", "c"), ["a", "b", "c"]),
    ],
)
def test_uniform_coordinates_give_uniform_values(dimension: Dimension, values: list[Any]) -> None:
    """Value k has exactly the coordinates [k / n, (k + 1) / n)."""
    space, n = one(dimension), len(values)
    assert list(dimension.values or ()) == values
    for k, value in enumerate(values):
        for u in (k / n + 1e-9, (k + 0.5) / n, (k + 1) / n - 1e-9):
            assert space.decode(np.array([u])) == {"x": value}
        assert space.encode({"x": value})[0] == (k + 0.5) / n


@pytest.mark.parametrize(("low", "high"), [(1, 5), (16, 128), (3, 3), (1, 8192)])
def test_uniform_coordinates_give_log_uniform_integers(low: int, high: int) -> None:
    """Value v has the coordinates between those of v - 1/2 and v + 1/2, on the log scale of [low - 1/2, high + 1/2]."""
    space = one(integer(low, high, log=True))

    def position(value: float) -> float:
        return math.log(value / (low - 0.5)) / math.log((high + 0.5) / (low - 0.5))

    for value in {low, high, (low + high) // 2, min(low + 1, high)}:
        for u in (position(value - 0.5) + 1e-9, position(value), position(value + 0.5) - 1e-9):
            assert space.decode(np.array([u])) == {"x": value}
        assert space.encode({"x": value})[0] == pytest.approx(position(value), abs=1e-12)


@settings(deadline=None)
@given(st.floats(0.0, 1.0))
def test_uniform_coordinates_give_uniform_reals(u: float) -> None:
    assert one(real(-2, 6)).decode(np.array([u]))["x"] == pytest.approx(-2 + 8 * u)
    assert one(real(0.01, 100, log=True)).decode(np.array([u]))["x"] == pytest.approx(10 ** (4 * u - 2))


@settings(deadline=None)
@given(floats(), st.floats(0.0, 1.0))
def test_a_real_stays_within_its_bounds(dimension: FloatDimension, u: float) -> None:
    value = one(dimension).decode(np.array([u]))["x"]
    assert type(value) is float
    assert dimension.low <= value <= dimension.high


def test_the_bounds_themselves_are_reached() -> None:
    for log in (False, True):
        space = one(real(0.3, 0.7, log=log))
        assert space.decode(np.array([0.0])) == {"x": 0.3}
        assert space.decode(np.array([1.0])) == {"x": 0.7}
        assert space.decode(np.array([-1.0])) == {"x": 0.3}
        assert space.decode(np.array([2.0])) == {"x": 0.7}


@pytest.mark.parametrize("dimension", [real(0.03, 10, log=True), real(0.03, 10), real(-1, 0), real(0, 0.7)])
def test_next_to_a_bound_is_the_bound(dimension: FloatDimension) -> None:
    space = one(dimension)
    for near in (1e-16, 1e-12, 1e-9):
        assert space.decode(np.array([near])) == {"x": dimension.low}
        assert space.decode(np.array([1.0 - near])) == {"x": dimension.high}
    assert dimension.low < space.decode(np.array([1e-8]))["x"]
    assert space.decode(np.array([1.0 - 1e-8]))["x"] < dimension.high


def test_a_stepped_float_has_the_values_that_one_would_write() -> None:
    space = one(real(0, 1, step=0.1))
    assert space.decode(space.grid(0)[3:4]) == {"x": 0.3}
    assert 3 * 0.1 != 0.3
    assert space.encode({"x": 3 * 0.1}) == space.encode({"x": 0.3})


@pytest.mark.parametrize(
    "dimension", [real(2, 2), real(2, 2, log=True), real(2, 2, step=0.5), integer(2, 2), categories(2)]
)
def test_a_single_value_is_in_the_middle(dimension: Dimension) -> None:
    space = one(dimension)
    assert space.grid(0).tolist() == [0.5]
    for u in (0.0, 0.4, 1.0, math.nan):
        assert space.decode(np.array([u])) == {"x": 2}
    assert space.encode({"x": 2}).tolist() == [0.5]


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        (real(1, 2), 2.5), (real(1, 2), "1.5"), (real(0, 2), True), (real(1, 2), math.nan),
        (real(1, 2, step=0.5), 1.25), (real(1, 2, step=0.5), 1.1),
        (real(1, 2, step=0.5), 2.5), (real(1, 2, step=0.5), math.nan),
        (real(1, 2, step=0.5), True), (real(1, 1), 1.5),
        (integer(1, 5), 6), (integer(1, 5), 2.0), (integer(1, 5), True), (integer(1, 5, step=2), 2),
        (integer(1, 5, log=True), 0), (integer(1, 5, log=True), 2.5),
        (categories("a", "b"), "c"), (categories(0, 2), False), (categories(1, 2), 1.0),
    ],
)  # fmt: skip
def test_a_value_outside_of_its_dimension_is_refused(dimension: Dimension, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^x: "):
        one(dimension).encode({"x": value})


def test_a_huge_range_of_integers_has_no_grid_but_exact_values() -> None:
    for log in (False, True):
        space = one(integer(1, 10**12, log=log))
        assert space.grid(0) is None
        for value in (1, 2, 12345, 999_999_999_999, 10**12):
            assert space.decode(space.encode({"x": value})) == {"x": value}


def test_the_order_is_the_configs_where_conditions_allow() -> None:
    cell = categories("gru", "rnn")
    hanging = integer(1, 2, when={"b": ["rnn"]})
    assert Space.from_search({"c": cell, "b": cell, "a": hanging}).names == ("c", "b", "a")
    assert Space.from_search({"c": cell, "a": hanging, "b": cell, "d": cell}).names == ("c", "b", "a", "d")


def test_inactive_dimensions_are_left_out_and_nan() -> None:
    space = Space.from_search(
        {
            "cell": categories("gru", "rnn"),
            "nonlinearity": categories("tanh", "relu", when={"cell": ["rnn"]}),
            "slope": real(0, 1, when={"nonlinearity": ["relu"]}),
        }
    )
    assert space.is_conditional
    assert space.decode(np.array([0.1, 0.9, 0.5])) == {"cell": "gru"}
    assert space.decode(np.array([0.9, 0.1, 0.5])) == {"cell": "rnn", "nonlinearity": "tanh"}
    assert space.decode(np.array([0.9, 0.9, math.nan])) == {"cell": "rnn", "nonlinearity": "relu", "slope": 0.5}
    np.testing.assert_array_equal(space.encode({"cell": "gru"}), [0.25, np.nan, np.nan])
    np.testing.assert_array_equal(space.encode({"cell": "gru", "nonlinearity": "relu"}), [0.25, np.nan, np.nan])
    assert space.active(np.array([0.9, 0.1, math.nan])).tolist() == [True, True, False]
    assert space.categorical.tolist() == [True, True, False]


def test_a_condition_on_a_stepped_float_forgives_rounding() -> None:
    space = Space.from_search({"x": real(0, 1, step=0.1), "y": integer(1, 2, when={"x": [0.3]})})
    assert space.is_active(1, {"x": 3 * 0.1})
    assert not space.is_active(1, {"x": 0.4})


def test_conditions_on_fixed_fields_are_decided_once() -> None:
    search = {
        "a": integer(1, 3, when={"cell": ["rnn"]}),
        "b": integer(1, 3, when={"cell": ["gru"]}),
        "c": integer(1, 3, when={"b": [2]}),
        "d": integer(1, 3, when={"a": [2], "cell": ["rnn", "lstm"]}),
        "e": integer(1, 3, when={"elsewhere": [1]}),
    }
    space = Space.from_search(search, {"cell": "rnn"})
    assert space.names == ("a", "d")
    assert dict(space.dimensions[1].when) == {"a": (2,)}
    assert Space.from_search(search).names == ()


def test_an_empty_space() -> None:
    space = Space.from_search({})
    assert len(space) == 0
    assert space.encode({}).shape == (0,)
    assert space.decode(np.zeros(0)) == {}
    assert space.categorical.dtype == bool
    assert not space.is_conditional


def test_a_grid_is_the_callers_own() -> None:
    space = one(integer(1, 3))
    space.grid(0)[:] = 7
    assert space.grid(0).tolist() == pytest.approx([1 / 6, 1 / 2, 5 / 6])


def test_a_point_of_another_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        one(integer(1, 3)).decode(np.zeros(2))


def test_categories_have_no_interval() -> None:
    with pytest.raises(TypeError, match="no order"):
        _ = Space.from_search({"x": categories(1)}).dimensions[0]._interval
