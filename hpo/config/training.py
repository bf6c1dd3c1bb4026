"""``training:`` and ``objective:`` how one trial is meta-trained and what it is judged by."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hpo.config.section import Section

Direction = Literal["minimize", "maximize"]
Measurement = Literal["seconds", "peak_memory_bytes", "meta_parameters"]

_DIRECTIONS: dict[str, Direction] = {"query_loss": "minimize", "query_accuracy": "maximize"}
_MOST_STEPS = 1000  # of an adaptation curve


class TrainingConfig(Section):
    """The outer loop: Adam on the meta-parameters, and evaluation on fixed meta-validation tasks."""

    outer_lr: float = Field(0.002, gt=0.0, le=10.0, description="Adam's step size in the outer loop")
    clip_norm: float = Field(10.0, gt=0.0, description="the meta-gradient's norm is clipped to this")
    meta_batch: int = Field(16, ge=1, le=4096, description="tasks a meta-iteration")
    meta_iterations: int = Field(300, ge=1, le=10**9)
    eval_tasks: int = Field(200, ge=2, le=10**6, description="fixed meta-validation tasks a trial is scored on")
    eval_every: int = Field(
        50, ge=1, le=10**9, description="meta-iterations between two evaluations (the pruner's rungs)"
    )
    eval_steps: int | None = Field(
        None,
        ge=1,
        le=_MOST_STEPS,
        description="inner steps in adaptation curves, where objective.inner_steps: best chooses among them;"
        " default: twice learner.inner_steps",
    )
    test_tasks: int = Field(400, ge=2, le=10**6, description="meta-test tasks that `hpo train` scores on")
    seed: int = Field(0, ge=0, lt=2**31, description="of the initialization and of the meta-training tasks")


def _test_time_steps(found: Any) -> Any:
    is_number = isinstance(found, int) and not isinstance(found, bool)
    if found in ("trained", "best") or (is_number and 1 <= found <= _MOST_STEPS):
        return found
    raise ValueError(f"found {found!r}, expected trained, best or a number of inner steps from 1 to {_MOST_STEPS}")


def _each_once(found: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
    if len(set(found)) < len(found):
        raise ValueError(f"found [{', '.join(found)}], expected each at most once")
    return found


class ObjectiveConfig(Section):
    """The number a study optimizes, measured on the meta-validation tasks after adaptation."""

    metric: Literal["query_loss", "query_accuracy"] = "query_loss"
    direction: Direction = Field("minimize", description="follows from the metric")
    inner_steps: Annotated[Literal["trained", "best"] | int, BeforeValidator(_test_time_steps)] = Field(
        "trained",
        description="after how many it is measured. trained: learner.inner_steps; best: the number up to"
        " training.eval_steps that is best on the meta-validation tasks",
    )
    against: Annotated[tuple[Measurement, ...], Field(strict=False), AfterValidator(_each_once)] = Field(
        (), description="what it is traded against, each to be small: a search for all that nobody beats in everything"
    )

    @model_validator(mode="before")
    @classmethod
    def _direction_of_metric(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "direction" not in raw and raw.get("metric") in tuple(_DIRECTIONS):
            return {**raw, "direction": _DIRECTIONS[raw["metric"]]}
        return raw

    @model_validator(mode="after")
    def _direction_fits_metric(self) -> Self:
        expected = _DIRECTIONS[self.metric]
        if self.direction != expected:
            raise ValueError(f"{self.metric} is to be {expected}d, but direction is {self.direction!r}")
        return self
