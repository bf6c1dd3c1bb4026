"""Adaptation curves, ready to draw: query loss and accuracy after 0..N inner steps, each ± one standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hpo.records import AdaptationCurve, Estimate

MEASURES = ("loss", "accuracy")
# Okabe and Ito's colours: everybody tells them apart, on white and on black.
COLOURS = ("#0072b2", "#d55e00", "#009e73")
GREY = "#8a8a8a"


@dataclass(frozen=True)
class RankedCurve:
    """One trial in the figure of a study; ``trained_steps`` is how many inner steps it was meta-trained for."""

    number: int
    objective: Estimate
    curve: AdaptationCurve
    trained_steps: int | None = None


@dataclass(frozen=True)
class Line:
    """One measure of one curve, ready to draw; what is not finite is NaN: a gap."""

    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]

    @classmethod
    def of(cls, curve: AdaptationCurve, measure: str) -> Line | None:
        """``measure`` is ``loss`` or ``accuracy``; None where the curve has none (regression has no accuracy)."""
        found = [(point.inner_step, getattr(point, measure)) for point in curve.points]
        points = [(step, estimate) for step, estimate in found if estimate is not None]
        if not points:
            return None
        return cls(
            steps=[step for step, _ in points],
            mean=[_finite(estimate.mean) for _, estimate in points],
            low=[_finite(estimate.mean - estimate.sem) for _, estimate in points],
            high=[_finite(estimate.mean + estimate.sem) for _, estimate in points],
        )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def measures(curves: Sequence[AdaptationCurve]) -> list[str]:
    """Which of loss and accuracy these curves hold: one panel each."""
    return [measure for measure in MEASURES if any(Line.of(curve, measure) for curve in curves)]
