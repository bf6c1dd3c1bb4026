"""What an objective is traded against, and which trials are worth their price: pure functions.

Of measurements the logarithm is told to the sampler: they are positive and skewed, and what counts is a ratio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.records import Outcome, TrialOutcome

_SMALLEST = 1e-9  # the logarithm of nothing at all is not finite


def traded_against(config: Mapping[str, Any]) -> tuple[str, ...]:
    """By a study config as it is stored; earlier ones know of no such thing."""
    return tuple(config.get("objective", {}).get("against", ()))


def logarithms(against: Sequence[str], outcome: TrialOutcome) -> tuple[float, ...]:
    """Of each measurement; none of a trial that was not trained to its end."""
    if outcome.outcome is not Outcome.OK:
        return ()
    return tuple(math.log(max(float(getattr(outcome, measurement)), _SMALLEST)) for measurement in against)


def front(points: Mapping[int, Sequence[float]]) -> tuple[int, ...]:
    """Numbers of the trials that no other one dominates, in their order: the Pareto front.

    ``points``: trial number -> what is to be minimized. One dominates another where it is nowhere worse and somewhere
    better; equals stay together.
    """
    found: dict[int, Sequence[float]] = {}
    for number in sorted(points, key=lambda number: tuple(points[number])):  # who dominates comes earlier
        if not any(_dominates(other, points[number]) for other in found.values()):
            found[number] = points[number]
    return tuple(number for number in points if number in found)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
