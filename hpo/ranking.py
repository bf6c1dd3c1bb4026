"""Which configs are trained again with new seeds, and which of them is best: pure functions.

The training that made a config a candidate was picked among many for its value, so it is likely to be a lucky one and
does not count here: candidates are compared by their new seeds only. They share these and the validation tasks, so the
comparison is made seed by seed, where what makes a seed easy for all of them cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from hpo.config.training import Direction
from hpo.records import Estimate, sign

Values = Mapping[int, float | None]  # seed -> objective; None: the training with it gave none


@dataclass(frozen=True)
class Behind:
    """How far a config is from the best one, over the seeds that gave both a value; positive is worse."""

    difference: Estimate
    seeds: int


@dataclass(frozen=True)
class Confirmed:
    """What the new seeds made of trial ``number``'s config; the standard error of a single seed is NaN."""

    number: int
    estimate: Estimate | None  # over the seeds that gave a value; None where none did
    seeds: int
    failed: int
    behind: Behind | None  # None for the best itself, and where the two share no seed


def _never(number: int, other: int) -> bool:
    return False


def candidates(
    expected: Mapping[int, float], direction: Direction, most: int, alike: Callable[[int, int], bool] = _never
) -> tuple[int, ...]:
    """Numbers of the ``most`` trials that are expected to be best, likely best first; of equal ones the older.

    ``alike(number, other)``: whether two trials are one experiment. Of such the likely best stands for all: a search
    that converges ends with several, and to confirm each of them would tell the same again and leave others out.
    """
    chosen: list[int] = []
    for number in sorted(expected, key=lambda number: (sign(direction) * expected[number], number)):
        if len(chosen) < most and not any(alike(number, other) for other in chosen):
            chosen.append(number)
    return tuple(chosen)


def ranking(values: Mapping[int, Values], direction: Direction) -> tuple[Confirmed, ...]:
    """Candidates by their mean over the new seeds, the best first; one that failed with a seed is behind all others.

    ``values``: trial number -> what its new seeds gave.
    """
    order = sorted(values, key=lambda number: _place(number, values[number], direction))
    return tuple(_confirmed(number, values[number], values[order[0]], direction) for number in order)


def _place(number: int, values: Values, direction: Direction) -> tuple[int, float, int]:
    measured = _measured(values)
    return len(values) - len(measured), sign(direction) * fmean(measured) if measured else math.inf, number


def _confirmed(number: int, values: Values, best: Values, direction: Direction) -> Confirmed:
    measured = _measured(values)
    return Confirmed(
        number,
        estimate=_estimate(measured) if measured else None,
        seeds=len(measured),
        failed=len(values) - len(measured),
        behind=None if values is best else _behind(values, best, direction),
    )


def _behind(values: Values, best: Values, direction: Direction) -> Behind | None:
    differences = [
        sign(direction) * (value - other)
        for seed, value in values.items()
        if value is not None and (other := best.get(seed)) is not None
    ]
    return Behind(_estimate(differences), len(differences)) if differences else None


def _measured(values: Values) -> list[float]:
    return [value for value in values.values() if value is not None]


def _estimate(values: Sequence[float]) -> Estimate:
    sem = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Estimate(mean=fmean(values), sem=sem)
