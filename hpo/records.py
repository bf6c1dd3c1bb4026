"""Values that cross layers and processes: frozen, checked when made, JSON in and out."""

from __future__ import annotations

import math
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hpo.config.training import Direction
from hpo.space import Params

# User attributes of an Optuna trial, which the results write and a sampler reads: how it ended, as a value of Outcome;
# standard error of its objective; seconds that a meta-iteration took; logarithms of what the objective is traded
# against.
OUTCOME_ATTRIBUTE = "outcome"
STANDARD_ERROR_ATTRIBUTE = "standard_error"
SECONDS_ATTRIBUTE = "seconds_per_meta_iteration"
AGAINST_ATTRIBUTE = "against"


class Outcome(StrEnum):
    """How a trial ended."""

    OK = "ok"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    LOST = "lost"
    ERROR = "error"

    @property
    def needs_reason(self) -> bool:
        """Whether a person will ask why."""
        return self not in (Outcome.OK, Outcome.PRUNED)


class Record(BaseModel):
    """``record.model_dump_json()`` and ``Record.model_validate_json(text)`` are inverse, NaN and infinities too."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


def _not_negative(sem: float) -> float:
    if sem < 0.0:
        raise ValueError("a standard error is not negative")
    return sem


StandardError = Annotated[float, AfterValidator(_not_negative)]


class Estimate(Record):
    """A mean over tasks and its standard error; either may be infinite or NaN where adaptation blew up."""

    mean: float
    sem: StandardError

    @property
    def is_finite(self) -> bool:
        """Whether both numbers can be computed with."""
        return math.isfinite(self.mean) and math.isfinite(self.sem)


class CurvePoint(Record):
    """Query loss and accuracy after ``inner_step`` steps on the support set; regression has no accuracy."""

    inner_step: int = Field(ge=0)
    loss: Estimate
    accuracy: Estimate | None = None


class AdaptationCurve(Record):
    """Query loss and accuracy after 0..N inner steps, over the same tasks."""

    split: str
    tasks: int = Field(ge=1)
    points: tuple[CurvePoint, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(one.inner_step >= next_one.inner_step for one, next_one in pairwise(self.points)):
            raise ValueError("points ascend by inner_step, each once")
        return self

    def at(self, inner_step: int) -> CurvePoint:
        """The point after ``inner_step`` steps; KeyError where it was not evaluated."""
        for point in self.points:
            if point.inner_step == inner_step:
                return point
        raise KeyError(inner_step)


class TrialSpec(Record):
    """What a runner needs to train one trial: nothing else is looked up."""

    trial_id: int
    number: int
    config: dict[str, Any]  # TrialConfig.to_dict()
    device: str  # "cpu", "cuda:0"
    threads: int = Field(ge=1)
    checkpoint_dir: str | None = None  # resumes from what lies there


class Report(Record):
    """The objective at a rung."""

    meta_iteration: int = Field(ge=0)
    objective: Estimate
    seconds: float = Field(ge=0.0)  # of training so far, earlier attempts included
    inner_steps: int | None = Field(None, ge=1)  # as in TrialOutcome


class TrialOutcome(Record):
    """How a trial ended and what it measured; ``objective`` is None unless one was measured.

    ``inner_steps``: after how many the objective was measured; None: as many as the trial was trained with.
    """

    outcome: Outcome
    reason: str | None = None
    objective: Estimate | None = None
    inner_steps: int | None = Field(None, ge=1)
    meta_iterations: int = Field(0, ge=0)
    seconds: float = Field(0.0, ge=0.0)
    peak_memory_bytes: int = Field(0, ge=0)
    meta_parameters: int = Field(0, ge=0)  # numbers that were meta-learned
    gradients: str | None = None  # how derivatives were computed: a hpo.meta.gradients.Way
    curves: tuple[AdaptationCurve, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.outcome is Outcome.OK and (self.objective is None or not self.objective.is_finite):
            raise ValueError(f"an ok trial has a finite objective, found {self.objective}")
        if self.outcome.needs_reason and self.reason is None:
            raise ValueError(f"a trial that ended as {self.outcome.value} has a reason")
        return self


class Prospect(Record):
    """What a sampler expects of the next trial, on the study's scale.

    ``gain``: the expected improvement on the posterior mean of the best trial, which a lucky value does not lower.
    ``noise``: the standard deviation of the difference of two trainings of one config.
    """

    gain: float
    noise: float


class Observation(Record):
    """What a sampler knows of one trial: ``value`` is to be minimized; None where the trial gave none.

    ``outcome`` None: the trial is still running. ``excess``: by how much it is beyond each of the study's constraints,
    at most 0 where it satisfies it; empty where that was not measured. ``against``: likewise, the logarithm of each
    measurement that the value is traded against, to be minimized too.
    """

    number: int
    params: Params
    outcome: Outcome | None = None
    value: float | None = None
    sem: StandardError | None = None
    excess: tuple[float, ...] = ()
    against: tuple[float, ...] = ()
    seconds: float | None = Field(None, gt=0.0)  # of its training to the end, up to a factor that all trials share

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.outcome is Outcome.OK and (self.value is None or not math.isfinite(self.value)):
            raise ValueError(f"an ok trial has a finite value, found {self.value}")
        if self.sem is not None and self.value is None:
            raise ValueError("a standard error belongs to a value")
        return self


def sign(direction: Direction) -> float:
    """What a value is multiplied with to be minimized."""
    return 1.0 if direction == "minimize" else -1.0
