"""The meta-training of one trial, from its spec to its outcome.

The same config on the same device gives the same numbers; stopped anywhere and resumed from its checkpoint, it gives
the numbers of an uninterrupted run, on a CPU bit for bit.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import torch

from hpo.config import TrialConfig
from hpo.errors import Diverged
from hpo.meta.cells import Params
from hpo.meta.checkpoint import FILE_NAME, BadCheckpointError, TrainingState, load, save
from hpo.meta.evaluate import adaptation_curve, task_curves
from hpo.meta.outer import Outer
from hpo.meta.resources import find_device, naming_out_of_memory, peak_memory, reset_peak_memory
from hpo.meta.tasks import Split, TaskBatch
from hpo.meta.trial import Trial
from hpo.records import AdaptationCurve, Estimate, Outcome, Report, TrialOutcome, TrialSpec

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
class _Progress:
    """What changes from one meta-iteration to the next."""

    outer: Outer
    meta_iteration: int = 0
    reports: list[Report] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)  # earlier attempts count as if they had just been made

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began


def meta_train(spec: TrialSpec, events: Events) -> TrialOutcome | Stopped:
    """Meta-trains one trial; reports at rungs, checkpoints after each, resumes from ``spec.checkpoint_dir``.

    Raises Diverged and OutOfMemory, which are data for the sampler, and InputError where the spec is wrong.
    """
    torch.set_num_threads(spec.threads)
    directory = None if spec.checkpoint_dir is None else Path(spec.checkpoint_dir)
    ended = train(TrialConfig.from_dict(spec.config), spec.device, directory, events)
    return ended.outcome if isinstance(ended, Trained) else ended


def train(config: TrialConfig, device_name: str, directory: Path | None, events: Events) -> Trained | Stopped:
    """Like :func:`meta_train`, and gives the meta-parameters too."""
    device = find_device(device_name)
    reset_peak_memory(device)
    with naming_out_of_memory():
        trial = Trial.of(config, device)
        validation = trial.fixed_tasks(Split.VALIDATION, config.training.eval_tasks)
        progress = _begin_or_resume(trial, directory)
        for report in progress.reports:  # of earlier attempts: the worker may have died before it recorded them
            events.report(report)
        while progress.meta_iteration < config.training.meta_iterations:
            match events.interruption():
                case "prune":
                    return _ended(trial, progress, Outcome.PRUNED)
                case "stop":
                    _checkpoint(trial, progress, directory, events)
                    return Stopped(progress.meta_iteration)
            _meta_iteration(trial, progress)
            if _is_rung(config, progress.meta_iteration):
                _report(trial, progress, validation, events)
                _checkpoint(trial, progress, directory, events)
        curve = adaptation_curve(trial.learner, progress.outer.meta, validation, Split.VALIDATION, trial.curve_steps)
        return _ended(trial, progress, Outcome.OK, (curve,))


def _meta_iteration(trial: Trial, progress: _Progress) -> None:
    """One step of the outer loop."""
    batch = trial.meta_batch(progress.meta_iteration)
    gradient, metrics = trial.learner.meta_gradient(progress.outer.meta, batch)
    number = progress.meta_iteration + 1
    _expect_finite(float(metrics.loss.mean()), number, "query loss of the meta-training tasks")
    _expect_finite(progress.outer.step(gradient), number, "norm of the meta-gradient")
    progress.meta_iteration = number


def _is_rung(config: TrialConfig, meta_iteration: int) -> bool:
    training = config.training
    return meta_iteration % training.eval_every == 0 or meta_iteration == training.meta_iterations


def _report(trial: Trial, progress: _Progress, validation: TaskBatch, events: Events) -> None:
    objective = _objective(trial, progress, validation)
    report = Report(meta_iteration=progress.meta_iteration, objective=objective, seconds=progress.seconds)
    progress.reports.append(report)
    events.report(report)


def _objective(trial: Trial, progress: _Progress, validation: TaskBatch) -> Estimate:
    """The study's metric after learner.inner_steps steps on the meta-validation tasks."""
    curves = task_curves(trial.learner, progress.outer.meta, validation, [trial.learner.inner_steps])
    _expect_finite(float(curves.loss.mean()), progress.meta_iteration, "query loss of the meta-validation tasks")
    (point,) = curves.curve(Split.VALIDATION).points
    by_metric = {"query_loss": point.loss, "query_accuracy": point.accuracy}
    estimate = by_metric[trial.config.objective.metric]
    assert estimate is not None  # Trial.of lets accuracy pass only where there is one
    return estimate


def _expect_finite(value: float, meta_iteration: int, what: str) -> None:
    if not math.isfinite(value):
        raise Diverged(
            f"meta-iteration {meta_iteration}: the {what} is {value}, expected a finite number;"
            " a smaller learner.inner_lr or training.outer_lr may help"
        )


def _begin_or_resume(trial: Trial, directory: Path | None) -> _Progress:
    """From the checkpoint, if there is one that fits; from zero otherwise, with a warning if there was one."""
    progress = _Progress(Outer(trial.initial_parameters(), trial.config.training))
    if directory is None or not (path := directory / FILE_NAME).exists():
        return progress
    try:
        state, tensors = load(path)
        if state.config != trial.config.to_dict():
            raise BadCheckpointError(f"{path}: made with another config")
        progress.outer.restore(tensors, state.meta_iteration)
    except (BadCheckpointError, ValueError) as error:
        _log.warning("checkpoint not used, training starts from zero: %s", error)
        return progress
    progress.meta_iteration = state.meta_iteration
    progress.reports = list(state.reports)
    progress.began -= state.seconds
    return progress


def _checkpoint(trial: Trial, progress: _Progress, directory: Path | None, events: Events) -> None:
    if directory is None:
        return
    state = TrainingState(
        config=trial.config.to_dict(),
        meta_iteration=progress.meta_iteration,
        seconds=progress.seconds,
        reports=tuple(progress.reports),
    )
    path = directory / FILE_NAME
    save(path, state, progress.outer.tensors())
    events.checkpointed(progress.meta_iteration, path)


def _ended(trial: Trial, progress: _Progress, outcome: Outcome, curves: tuple[AdaptationCurve, ...] = ()) -> Trained:
    """With the objective as last reported."""
    result = TrialOutcome(
        outcome=outcome,
        objective=progress.reports[-1].objective if progress.reports else None,
        meta_iterations=progress.meta_iteration,
        seconds=progress.seconds,
        peak_memory_bytes=peak_memory(trial.device),
        curves=curves,
    )
    return Trained(result, progress.outer.meta)
