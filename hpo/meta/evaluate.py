"""Adaptation curves: query loss and accuracy after 0, 1, 2, ... inner steps over fixed tasks, with standard errors."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from hpo.errors import Diverged
from hpo.meta.cells import Params
from hpo.meta.learners import Learner
from hpo.meta.network import Metrics
from hpo.meta.tasks.base import Split, TaskBatch
from hpo.records import AdaptationCurve, CurvePoint, Estimate

TASKS_AT_ONCE = 25  # bounds the memory


@dataclass(frozen=True)
class TaskCurves:
    """Every task's own curve, for differences that are paired by task.

    loss, accuracy  (steps, tasks) float64, a row for each of ``steps``; no accuracy for regression
    """

    steps: tuple[int, ...]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64] | None

    @classmethod
    def join(cls, steps: tuple[int, ...], parts: Sequence[Sequence[Metrics]]) -> TaskCurves:
        """From the metrics after each of ``steps``, part by part of the tasks."""
        loss = np.concatenate([_array([metrics.loss for metrics in part]) for part in parts], axis=1)
        accuracies = [[metrics.accuracy for metrics in part if metrics.accuracy is not None] for part in parts]
        accuracy = np.concatenate([_array(part) for part in accuracies], axis=1) if accuracies[0] else None
        return cls(steps, loss, accuracy)

    def points(self) -> tuple[CurvePoint, ...]:
        """Means and standard errors over tasks; steps with a loss that is not finite are left out."""
        finite = [(row, step) for row, step in enumerate(self.steps) if np.isfinite(self.loss[row]).all()]
        return tuple(self._point(row, step) for row, step in finite)

    def curve(self, split: Split) -> AdaptationCurve:
        """Its :meth:`points`; raises Diverged where there is none."""
        if not (points := self.points()):
            raise Diverged(f"the {split} tasks' query loss is not finite after {self.steps} inner steps")
        return AdaptationCurve(split=split.value, tasks=self.loss.shape[1], points=points)

    def _point(self, row: int, step: int) -> CurvePoint:
        accuracy = None if self.accuracy is None else estimate(self.accuracy[row])
        return CurvePoint(inner_step=step, loss=estimate(self.loss[row]), accuracy=accuracy)


def estimate(values: NDArray[np.float64]) -> Estimate:
    """Mean and standard error std(ddof=1) / sqrt(n) of values (tasks,), at least 2."""
    return Estimate(mean=float(values.mean()), sem=float(values.std(ddof=1) / math.sqrt(len(values))))


def task_curves(learner: Learner, meta: Params, batch: TaskBatch, steps: Collection[int]) -> TaskCurves:
    """Metrics of the query sets after each number of inner steps in ``steps``; keeps no graph."""
    wanted = tuple(sorted(steps))
    parts = [_part(learner, meta, part, wanted) for part in batch.chunk(-(-batch.tasks // TASKS_AT_ONCE))]
    return TaskCurves.join(wanted, parts)


def _part(learner: Learner, meta: Params, part: TaskBatch, steps: tuple[int, ...]) -> list[Metrics]:
    measure = learner.network.metrics
    predictors = enumerate(islice(learner.adaptation(meta, part.support), steps[-1] + 1))
    return [measure(predict(part.query), part.query.targets) for step, predict in predictors if step in steps]


def _array(rows: list[torch.Tensor]) -> NDArray[np.float64]:
    """(steps, tasks) from a tensor (tasks,) for each step."""
    return torch.stack(rows).double().cpu().numpy()
