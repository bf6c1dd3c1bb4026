"""The search space: where the values of every dimension lie in [0, 1], and which dimensions are active.

    float       linear (or log) between its bounds
    int, step   value k of n evenly spaced ones is the middle of the k-th of n equal parts, so that a
                uniform coordinate gives uniform values
    log int     the same parts [v - 1/2, v + 1/2], measured in log
    categorical choice k of n is (k + 1/2) / n; the order means nothing

An inactive dimension (its ``when`` does not hold) has the coordinate NaN and no value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.config.conditions import in_order
from hpo.config.search import CategoricalDimension, Dimension, FloatDimension, IntDimension, Value

Coordinates = NDArray[np.float64]  # (d,)
Params = dict[str, bool | int | float | str]  # dotted path of a searched field -> its value
MAX_GRID = 10_000  # values of an int beyond which nobody wants a list of them
NEAR = 0.01  # of a dimension's range: nearer in every dimension is the same experiment
EDGE = 1e-9  # a continuous coordinate this near to 0 or 1 is a search that ended at the bound


class OutsideSpace(ValueError):
    """A field's value that its dimension does not have; None: there is none."""

    def __init__(self, path: str, value: Any) -> None:
        super().__init__(f"{path}: {value!r} lies outside of its dimension")
        self.path = path
        self.value = value


@dataclass(frozen=True)
class Interval:
    """The reals between two bounds as [0, 1], linear or in log; a single point is 1/2."""

    low: float
    high: float
    log: bool

    def position(self, value: float) -> float:
        """Coordinate of a value between the bounds."""
        value, low, high = map(math.log, (value, self.low, self.high)) if self.log else (value, self.low, self.high)
        return 0.5 if low == high else (value - low) / (high - low)  # logarithms of different bounds may be equal

    def value(self, u: float) -> float:
        """Inverse of :meth:`position`; rounding never leaves the bounds."""
        if u in (0.0, 1.0):  # a search often ends at a bound, and exp(log(0.03)) is 0.029999999999999995
            return self.high if u else self.low
        low, high = map(math.log, (self.low, self.high)) if self.log else (self.low, self.high)
        value = low + u * (high - low)
        return min(max(math.exp(value) if self.log else value, self.low), self.high)


@dataclass(frozen=True)
class SearchDimension:
    """One searched field. ``when``: searched field -> values under which this one is active."""

    name: str
    config: Dimension
    when: Mapping[str, tuple[Value, ...]]

    def encode(self, value: Any) -> float:
        """Coordinate of a value; ValueError where it is outside of the dimension."""
        match self.config:
            case FloatDimension(step=None, low=low, high=high):
                if isinstance(value, bool) or not (isinstance(value, int | float) and low <= value <= high):
                    raise ValueError(f"{self.name}: {value!r} is not between {low} and {high}")
                return self._interval.position(value)
            case IntDimension(log=True):
                self._index(value)
                return self._interval.position(value)
            case CategoricalDimension() | IntDimension() | FloatDimension():
                return (self._index(value) + 0.5) / self._count

    def decode(self, coordinate: float) -> Value:
        """The value nearest to a coordinate."""
        u = min(max(float(coordinate), 0.0), 1.0)
        match self.config:
            case FloatDimension(step=None):
                return self._interval.value(0.0 if u <= EDGE else 1.0 if u >= 1.0 - EDGE else u)
            case IntDimension(log=True, low=low, high=high):
                return min(max(math.floor(self._interval.value(u) + 0.5), low), high)
            case _:
                return self._finite_values[min(math.floor(u * self._count), self._count - 1)]

    @property
    def values(self) -> Sequence[Value] | None:
        """All values, ascending in the coordinate; None for a continuous dimension."""
        return self.config.values

    @cached_property
    def grid(self) -> Coordinates | None:
        """(n,) coordinates of all values, ascending; None for a continuum and for more than MAX_GRID integers."""
        if self.values is None or self._count > MAX_GRID:
            return None
        return np.array([self.encode(value) for value in self.values])

    @cached_property
    def _interval(self) -> Interval:
        """Of the values; of the parts that stand for them where they are integers."""
        match self.config:
            case FloatDimension(low=low, high=high, log=log):
                return Interval(low, high, log)
            case IntDimension(low=low, high=high, log=log):
                return Interval(low - 0.5, high + 0.5, log)
            case CategoricalDimension():
                raise TypeError(f"{self.name}: categories have no order")

    @property
    def _finite_values(self) -> Sequence[Value]:
        return self.values or ()

    @cached_property
    def _count(self) -> int:
        return len(self._finite_values)

    def _index(self, value: Any) -> int:
        try:
            return self.config.index(value)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None


@dataclass(frozen=True)
class Space:
    """Dimensions in an order in which each comes after those that its ``when`` names."""

    dimensions: tuple[SearchDimension, ...]

    @classmethod
    def from_search(cls, search: Mapping[str, Dimension], fixed: Mapping[str, Any] | None = None) -> Space:
        """The space of a config's ``search`` section.

        ``fixed``: values of fields that are not searched. A condition on one of them is decided here:
        a dimension that can never be active is left out.
        """
        kept: dict[str, SearchDimension] = {}
        for name in in_order(search):
            dimension = search[name]
            constant = {other: values for other, values in dimension.when.items() if other not in search}
            searched = {other: tuple(values) for other, values in dimension.when.items() if other in search}
            if _holds(constant, fixed or {}) and searched.keys() <= kept.keys():
                kept[name] = SearchDimension(name, dimension, searched)
        return cls(tuple(kept.values()))

    def __len__(self) -> int:
        return len(self.dimensions)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Dotted paths of the searched fields."""
        return tuple(dimension.name for dimension in self.dimensions)

    @cached_property
    def is_conditional(self) -> bool:
        """Whether some dimension is not always active."""
        return any(dimension.when for dimension in self.dimensions)

    @property
    def categorical(self) -> NDArray[np.bool_]:
        """(d,) which dimensions have no order."""
        return np.array([isinstance(dimension.config, CategoricalDimension) for dimension in self.dimensions], bool)

    def grid(self, j: int) -> Coordinates | None:
        """Coordinates of all values of dimension j, ascending; None for a continuum and for more than MAX_GRID ints."""
        grid = self.dimensions[j].grid
        return None if grid is None else grid.copy()

    def encode(self, params: Mapping[str, Any]) -> Coordinates:
        """(d,) NaN for what is inactive or has no value; ValueError for a value outside of its dimension."""
        return np.array(
            [
                dimension.encode(params[dimension.name])
                if dimension.name in params and _holds(dimension.when, params)
                else math.nan
                for dimension in self.dimensions
            ],
            float,
        )

    def is_complete(self, params: Mapping[str, Any]) -> bool:
        """Whether params have a value for every active dimension and for nothing else."""
        return params.keys() == {each.name for each in self.dimensions if _holds(each.when, params)}

    def decode(self, x: Coordinates) -> Params:
        """The nearest valid params; inactive dimensions are left out. ``decode(encode(p)) == p``."""
        params: Params = {}
        for dimension, u in zip(self.dimensions, x, strict=True):
            if _holds(dimension.when, params):
                # an active dimension without a coordinate: the middle is as good as any
                params[dimension.name] = dimension.decode(0.5 if math.isnan(u) else u)
        return params

    def params_of(self, values: Mapping[str, Any]) -> Params:
        """The point with these values of fields, by dotted path: those of the active dimensions, each checked.

        Raises OutsideSpace.
        """
        params: Params = {}
        for dimension in self.dimensions:
            if _holds(dimension.when, params):
                value: Any = values.get(dimension.name)
                try:
                    dimension.encode(value)
                except (ValueError, TypeError):
                    raise OutsideSpace(dimension.name, value) from None
                params[dimension.name] = value
        return params

    def active(self, x: Coordinates) -> NDArray[np.bool_]:
        """(d,) which dimensions are active, given the coordinates of those that they hang on."""
        params = self.decode(x)
        return np.array([dimension.name in params for dimension in self.dimensions], bool)

    def is_active(self, j: int, params: Mapping[str, Any]) -> bool:
        """Whether dimension j is active given the values of the dimensions before it."""
        return _holds(self.dimensions[j].when, params)


def is_near(a: Coordinates, b: Coordinates) -> bool:
    """Whether two points (d,) are the same experiment: active in the same dimensions, and near in all of them."""
    return bool(np.array_equal(np.isnan(a), np.isnan(b)) and np.nanmax(np.abs(a - b), initial=0.0) < NEAR)


def _holds(when: Mapping[str, Iterable[Value]], params: Mapping[str, Any]) -> bool:
    return all(name in params and any(_same(params[name], value) for value in values) for name, values in when.items())


def _same(value: Any, wanted: Value) -> bool:
    """Equal, 0.1 * 3 and 0.3 included: other samplers compute the values of a stepped float."""
    if isinstance(value, float) or isinstance(wanted, float):
        return not isinstance(value, str) and not isinstance(wanted, str) and math.isclose(value, wanted, rel_tol=1e-9)
    return bool(value == wanted)
