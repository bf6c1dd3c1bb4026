"""One trial in training: what changes from one meta-iteration to the next, and what is reported of it.

loop.py trains one, fused.py several of equal shapes as one program.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import torch

from hpo.config import InvalidConfig, TrialConfig
from hpo.errors import Diverged
from hpo.meta.cells import Params
from hpo.meta.checkpoint import FILE_NAME, PREVIOUS_NAME, BadCheckpointError, TrainingState, kept, load, save
from hpo.meta.evaluate import TaskCurves, task_curves
from hpo.meta.learners import Learner
from hpo.meta.learners.base import Annealed, Remembering
from hpo.meta.network import Metrics
from hpo.meta.objective import best_point, estimate_of
from hpo.meta.outer import Outer
from hpo.meta.prefetch import Prefetch
from hpo.meta.profile import component
from hpo.meta.resources import peak_memory
from hpo.meta.tasks import Split, TaskBatch
from hpo.meta.trial import Trial
from hpo.records import AdaptationCurve, CurvePoint, Outcome, Report, TrialOutcome

_log = logging.getLogger(__name__)


class Events(Protocol):
    """What a meta-training tells while it runs, and how it is told to end early."""

    def report(self, report: Report) -> None:
        """The objective was measured."""

    def checkpointed(self, meta_iteration: int, path: Path) -> None:
        """Everything up to ``meta_iteration`` is safe in the file ``path``."""

    def interruption(self) -> Literal["prune", "stop"] | None:
        """Asked before every meta-iteration; must not block."""


@dataclass(frozen=True)
class Stopped:
    """The training was stopped on request; with a checkpoint_dir it can be resumed from ``meta_iteration``."""

    meta_iteration: int


@dataclass(frozen=True)
class Trained:
    """The training ended, or was pruned."""

    outcome: TrialOutcome
    meta: Params


@dataclass
class Training:
    """Begin it with :meth:`of`; then, until it :meth:`has_ended`, compute a meta-gradient and :meth:`step`.

    trial           what follows from the config
    events          who is told
    directory       of the checkpoint; None: there is none
    validation      the tasks that reports are measured on
    outer           the meta-parameters and their optimizer
    meta_iteration  how many are done
    reports         of this attempt and those before it
    curve           after the last meta-iteration, where this attempt has made it
    """

    trial: Trial
    events: Events
    directory: Path | None
    validation: TaskBatch
    outer: Outer
    batches: Prefetch[TaskBatch]
    meta_iteration: int = 0
    reports: list[Report] = field(default_factory=list)
    curve: AdaptationCurve | None = None
    began: float = field(default_factory=time.perf_counter)  # earlier attempts count as if they had just been made

    @classmethod
    def of(cls, config: TrialConfig, device: torch.device, directory: Path | None, events: Events) -> Training:
        """From the newest checkpoint that can be read and fits; from zero otherwise, with a warning if there was one.

        What earlier attempts reported is reported again: the worker may have died before it recorded it.
        """
        trial = Trial.of(config, device)
        training = cls(
            trial=trial,
            events=events,
            directory=directory,
            validation=trial.fixed_tasks(Split.VALIDATION, config.training.eval_tasks),
            outer=Outer(trial.initial_parameters(), config.training),
            batches=Prefetch(trial.meta_batch, config.training.meta_iterations),
        )
        training._resume()
        for report in training.reports:
            events.report(report)
        return training

    @property
    def seconds(self) -> float:
        """Since the first attempt began, without the time between attempts."""
        return time.perf_counter() - self.began

    @property
    def learner(self) -> Learner:
        """That of the next meta-iteration; a function of its number, so there is no state to keep."""
        learner = self.trial.learner
        return learner.at(self.meta_iteration) if isinstance(learner, Annealed) else learner

    def has_ended(self) -> Trained | Stopped | None:
        """With its outcome, where it is to be pruned, let go, or is complete."""
        if self.meta_iteration == self.trial.config.training.meta_iterations:
            with component("evaluation"):
                curve = self.curve or self._evaluated(self.trial.whole_curve).curve(Split.VALIDATION)
            return self._ended(Outcome.OK, (curve,))
        match self.events.interruption():
            case "prune":
                return self._ended(Outcome.PRUNED)
            case "stop":
                self._checkpoint()
                return Stopped(self.meta_iteration)
        return None

    def next_batch(self) -> TaskBatch:
        """The tasks of the next meta-iteration."""
        with component("data"):
            return self.batches(self.meta_iteration)

    def step(self, gradient: Params, metrics: Metrics, batch: TaskBatch) -> None:
        """One step of the outer loop, of these tasks; at a rung a report and a checkpoint. Raises Diverged."""
        number = self.meta_iteration + 1
        _expect_finite(float(metrics.loss.mean()), number, "query loss of the meta-training tasks")
        with component("outer step"):
            norm = self.outer.step(gradient)
        _expect_finite(norm, number, "norm of the meta-gradient")
        if isinstance(self.trial.learner, Remembering):
            self.trial.learner.remember(self.outer.meta, batch.support)
        self.meta_iteration = number
        training = self.trial.config.training
        if number % training.eval_every == 0 or number == training.meta_iterations:
            self._report()
            self._checkpoint()

    def diverged(self, error: Diverged) -> TrialOutcome:
        """The outcome of a training that raised ``error``."""
        done = self.reports[-1].meta_iteration if self.reports else 0
        return TrialOutcome(outcome=Outcome.DIVERGED, reason=str(error), meta_iterations=done, seconds=self.seconds)

    def close(self) -> None:
        """Ends what runs beside it."""
        self.batches.close()

    def _report(self) -> None:
        config = self.trial.config.objective
        with component("evaluation"):
            point = self._judged_by()
        report = Report(
            meta_iteration=self.meta_iteration,
            objective=estimate_of(point, config.metric),
            inner_steps=None if config.inner_steps == "trained" else point.inner_step,
            seconds=self.seconds,
        )
        self.reports.append(report)
        with component("reporting"):
            self.events.report(report)

    def _judged_by(self) -> CurvePoint:
        """The point of the adaptation curve that holds the objective; at the end the whole curve is kept."""
        config, steps = self.trial.config, self.trial.objective_steps
        is_last = self.meta_iteration == config.training.meta_iterations
        curves = self._evaluated(self.trial.whole_curve if is_last else steps)
        point = best_point((point for point in curves.points() if point.inner_step in steps), config.objective)
        if point is None:
            mean = float(curves.loss.mean())
            raise _not_finite(mean, self.meta_iteration, "query loss of the meta-validation tasks")
        if is_last:
            self.curve = curves.curve(Split.VALIDATION)
        return point

    def _evaluated(self, steps: Sequence[int]) -> TaskCurves:
        """On the meta-validation tasks."""
        return task_curves(self.trial.learner, self.outer.meta, self.validation, steps)

    def _resume(self) -> None:
        found = kept(self.directory) if self.directory is not None else []
        for path in found:
            try:
                self._resume_from(path)
            except (BadCheckpointError, InvalidConfig, ValueError) as error:
                _log.warning("checkpoint not used: %s", error)
                continue
            if path.name == PREVIOUS_NAME:
                _log.warning("training goes on from the checkpoint before, at meta-iteration %d", self.meta_iteration)
            return
        if found:
            _log.warning("training starts from zero: no checkpoint of it can be used")

    def _resume_from(self, path: Path) -> None:
        state, tensors = load(path)
        if TrialConfig.from_dict(state.config).to_dict() != self.trial.config.to_dict():  # it may lack new fields
            raise BadCheckpointError(f"{path}: made with another config")
        self.outer.restore(tensors, state.meta_iteration)
        self.meta_iteration = state.meta_iteration
        self.reports = list(state.reports)
        self.began -= state.seconds

    def _checkpoint(self) -> None:
        if self.directory is None:
            return
        state = TrainingState(
            config=self.trial.config.to_dict(),
            meta_iteration=self.meta_iteration,
            seconds=self.seconds,
            reports=tuple(self.reports),
        )
        path = self.directory / FILE_NAME
        with component("reporting"):
            save(path, state, self.outer.tensors())
            self.events.checkpointed(self.meta_iteration, path)

    def _ended(self, outcome: Outcome, curves: tuple[AdaptationCurve, ...] = ()) -> Trained:
        """With the objective as last reported."""
        last = self.reports[-1] if self.reports else None
        result = TrialOutcome(
            outcome=outcome,
            objective=last.objective if last is not None else None,
            inner_steps=last.inner_steps if last is not None else None,
            meta_iterations=self.meta_iteration,
            seconds=self.seconds,
            peak_memory_bytes=peak_memory(self.trial.device),
            meta_parameters=sum(tensor.numel() for tensor in self.outer.meta.values()),
            gradients=self.trial.learner.gradients(self.trial.device).value,
            curves=curves,
        )
        return Trained(result, self.outer.meta)


def _expect_finite(value: float, meta_iteration: int, what: str) -> None:
    if not math.isfinite(value):
        raise _not_finite(value, meta_iteration, what)


def _not_finite(value: float, meta_iteration: int, what: str) -> Diverged:
    return Diverged(
        f"meta-iteration {meta_iteration}: the {what} is {value}, expected a finite number;"
        " a smaller learner.inner_lr or training.outer_lr may help"
    )
