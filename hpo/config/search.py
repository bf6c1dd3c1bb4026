"""``search:`` dimensions of the search space, by the dotted path of the field that they vary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from hpo.config.section import Section
from hpo.config.wording import shown

Value = bool | int | float | str
MAX_STEPS = 10_000  # values of a stepped float: beyond that it is a continuous one in all but cost
_INT_LIMIT = 10**12  # floats place integers exactly up to here, in log too


def _value(raw: object) -> Value:
    if isinstance(raw, bool | int | str) or (isinstance(raw, float) and math.isfinite(raw)):
        return raw
    raise ValueError(f"found {shown(raw)}, expected a finite number, text, true or false")


Scalar = Annotated[Value, PlainValidator(_value)]
When = dict[str, Annotated[list[Scalar], Field(min_length=1)]]


class _Dimension(Section):
    when: When = Field(default_factory=dict, description="searched only where each named field has one of the values")


class FloatDimension(_Dimension):
    """A real number between two bounds, both included; with ``step`` only low, low + step, low + 2 step, ..."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = False
    step: float | None = Field(None, gt=0.0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_bounds(self.low, self.high, self.log, self.step is not None)
        if not math.isfinite(self.high - self.low):
            raise ValueError(f"high - low is too large: {self.high} - {self.low}")
        if self.step is not None and (self.high - self.low) / self.step >= MAX_STEPS:
            raise ValueError(f"step gives more than {MAX_STEPS} values: leave it out to search all of them")
        return self

    @cached_property
    def values(self) -> Sequence[float] | None:
        """All values, ascending, as one would write them: 0.3, not 0 + 3 * 0.1; None where they are a continuum."""
        if self.low == self.high:
            return (self.low,)
        if self.step is None:
            return None
        low, step = Decimal(str(self.low)), Decimal(str(self.step))
        count = int((Decimal(str(self.high)) - low) / step) + 1
        return tuple(float(low + k * step) for k in range(count))

    def index(self, value: object) -> int:
        """Which of ``values`` this is, rounding errors aside; ValueError where it is none."""
        if self.values is not None and isinstance(value, int | float) and not isinstance(value, bool):
            tolerance = 1e-8 * (self.step or 0.0)  # Optuna's own tolerance
            k = round((value - self.low) / self.step) if self.step and math.isfinite(value) else 0
            if 0 <= k < len(self.values) and abs(value - self.values[k]) <= tolerance:
                return k
        raise ValueError(f"{value!r} is not one of its values")


class IntDimension(_Dimension):
    """An integer between two bounds, both included."""

    type: Literal["int"]
    low: int = Field(ge=-_INT_LIMIT, le=_INT_LIMIT)
    high: int = Field(ge=-_INT_LIMIT, le=_INT_LIMIT)
    log: bool = False
    step: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_bounds(self.low, self.high, self.log, self.step != 1)
        return self

    @property
    def values(self) -> Sequence[int]:
        """All values, ascending; a range, so that no number of them costs anything."""
        return range(self.low, self.high + 1, self.step)

    def index(self, value: object) -> int:
        """Which of ``values`` this is; ValueError where it is none."""
        if type(value) is not int or value not in self.values:
            raise ValueError(f"{value!r} is not one of its values")
        return self.values.index(value)


class CategoricalDimension(_Dimension):
    """One of a list of values without an order."""

    type: Literal["categorical"]
    choices: list[Scalar] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(f"choices holds a value twice: {self.choices}")
        return self

    @property
    def values(self) -> Sequence[Value]:
        """All values, in the order of the config, which means nothing."""
        return self.choices

    def index(self, value: object) -> int:
        """Which of ``values`` this is, type included: 1 is not true; ValueError where it is none."""
        for k, choice in enumerate(self.choices):
            if type(choice) is type(value) and choice == value:
                return k
        raise ValueError(f"{value!r} is not one of its values")


Dimension = Annotated[FloatDimension | IntDimension | CategoricalDimension, Field(discriminator="type")]
DIMENSIONS: dict[str, type[Section]] = {
    "float": FloatDimension,
    "int": IntDimension,
    "categorical": CategoricalDimension,
}


def _check_bounds(low: float, high: float, log: bool, stepped: bool) -> None:
    if low > high:
        raise ValueError(f"low ({low}) is above high ({high}): expected low <= high")
    if log and low <= 0:
        raise ValueError(f"log: true needs low above 0, found low: {low}")
    if log and stepped:
        raise ValueError("log: true and step exclude each other: remove one of them")


def occurs(dimension: FloatDimension | IntDimension | CategoricalDimension, value: object) -> bool:
    """Whether a dimension with finitely many values has this one."""
    try:
        dimension.index(value)
    except ValueError:
        return False
    return True
