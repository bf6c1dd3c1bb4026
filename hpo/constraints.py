"""Whether what a trial measured satisfies its study's constraints: pure functions.

    excess   log(measured / bound) of what is positive and skewed (seconds, bytes, numbers), the difference of a loss or
             an accuracy; at most 0 where the constraint is satisfied

In logarithms, because a Gaussian process explains them better, and excesses of several constraints can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hpo.config import TrialConfig
from hpo.config.constraints import Constraint, as_text
from hpo.records import CurvePoint, Outcome, TrialOutcome

_SMALLEST = 1e-9  # the logarithm of nothing at all is not finite


@dataclass(frozen=True)
class Compliance:
    """Of one trial: its excess over each constraint, and those that it violates in words; None: none."""

    excess: tuple[float, ...]
    violated: str | None


def compliance(constraints: Iterable[Constraint], config: TrialConfig, outcome: TrialOutcome) -> Compliance | None:
    """None where nothing is constrained, and where the trial was not trained to its end."""
    measured = [(constraint, _measured(constraint.metric, config, outcome)) for constraint in constraints]
    if not measured or outcome.outcome is not Outcome.OK:
        return None
    excess = tuple(_excess(*pair) for pair in measured)
    violated = [
        f"{constraint}: {as_text(value)}"
        for (constraint, value), beyond in zip(measured, excess, strict=True)
        if beyond > 0
    ]
    return Compliance(excess, "; ".join(violated) or None)


def _measured(metric: str, config: TrialConfig, outcome: TrialOutcome) -> float:
    match metric:
        case "query_loss":
            return _adapted(config, outcome).loss.mean
        case "query_accuracy":
            accuracy = _adapted(config, outcome).accuracy
            assert accuracy is not None, "a config that constrains the accuracy of tasks that have none is refused"
            return accuracy.mean
        case _:
            return float(getattr(outcome, metric))


def _adapted(config: TrialConfig, outcome: TrialOutcome) -> CurvePoint:
    """After as many inner steps as the objective was measured after."""
    (curve,) = outcome.curves
    return curve.at(outcome.inner_steps or config.learner.steps)


def _excess(constraint: Constraint, value: float) -> float:
    match constraint.metric:
        case "query_loss":
            return value - constraint.bound
        case "query_accuracy":
            return constraint.bound - value
        case _:
            return math.log(max(value, _SMALLEST) / constraint.bound)
