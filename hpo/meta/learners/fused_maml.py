"""Several MAML trials of one network as one program.

The trials' tasks stand behind each other on the task axis, (trials * tasks, ...), each with its trial's parameters and
rates. A trial with fewer inner steps than another has rates of 0 from there on: phi stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.gradients import episode_loss
from hpo.meta.learners.chunks import Chunking, chunking
from hpo.meta.learners.gradient_based import expanded
from hpo.meta.learners.inner_loop import InnerLoop
from hpo.meta.learners.maml import Maml
from hpo.meta.network import Metrics, Network
from hpo.meta.tasks.base import TaskBatch

Result = tuple[Params, Metrics]


@dataclass(frozen=True)
class FusedMaml:
    """Trials that differ in inner_lr and inner_steps only."""

    trials: Sequence[Maml]

    def meta_gradients(self, metas: Sequence[Params], batches: Sequence[TaskBatch]) -> list[Result]:
        """What each trial's own ``meta_gradient`` gives, to rounding; all batches hold equally many tasks."""
        tasks, batch = batches[0].tasks, TaskBatch.join(batches)
        own = [expanded(meta, tasks) for meta in metas]
        theta = {name: torch.cat([params[name] for params in own]) for name in metas[0]}
        like = theta["head.bias"]
        rates = self._rates().repeat_interleave(tasks, dim=1).to(like)  # (K, trials * tasks)
        parameters = sum(tensor.numel() for tensor in metas[0].values())
        chunks = chunking(self._network, parameters, batch, len(rates) if self._second else 0)
        parts = [
            self._part({name: tensor[rows] for name, tensor in theta.items()}, rates[:, rows], part, chunks)
            for rows, part in _parts(batch, chunks.tasks)
        ]
        by_task = {name: torch.cat([gradient[name] for gradient, _ in parts]) for name in theta}
        metrics = Metrics.join([metrics for _, metrics in parts])
        return list(zip(_means(by_task, tasks), metrics.split(tasks), strict=True))

    def _part(self, theta: Params, rates: Tensor, part: TaskBatch, chunks: Chunking) -> Result:
        """Of some tasks, each by itself: theta (tasks, *shape), rates (K, tasks)."""
        shapes = {name: (-1, *[1] * (theta[name].ndim - 1)) for name in self.trials[0].adapted}
        by_step = [{name: rate.view(shape) for name, shape in shapes.items()} for rate in rates.unbind()]
        loop = InnerLoop(by_step, self._second, (0.0,) * len(by_step) + (1.0,), recompute=chunks.recompute)
        support = episode_loss(self._network, part.support, chunks.support)
        query = episode_loss(self._network, part.query, chunks.query)
        gradient = loop.meta_gradient(theta, support, query)
        return gradient.theta, self._network.metrics(gradient.predictions, part.query.targets)

    def _rates(self) -> Tensor:
        """(K, trials), K that of the trial with most inner steps."""
        most = max(trial.inner_steps for trial in self.trials)
        own = [(trial.config.inner_lr, trial.inner_steps) for trial in self.trials]
        return torch.tensor(
            [[rate * (step < steps) for rate, steps in own] for step in range(most)], dtype=torch.float64
        )

    @property
    def _network(self) -> Network:
        return self.trials[0].network

    @property
    def _second(self) -> bool:
        return self.trials[0].config.order == "second"


def _means(by_task: Params, tasks: int) -> list[Params]:
    """Of each trial's tasks, added up in the order in which a trial alone adds them."""
    rows = next(iter(by_task.values())).shape[0]
    trials = [slice(begin, begin + tasks) for begin in range(0, rows, tasks)]
    return [{name: tensor[own].sum(dim=0) / tasks for name, tensor in by_task.items()} for own in trials]


def _parts(batch: TaskBatch, at_once: int) -> list[tuple[slice, TaskBatch]]:
    parts, begin = [], 0
    for part in batch.chunk(-(-batch.tasks // at_once)):
        parts.append((slice(begin, begin + part.tasks), part))
        begin += part.tasks
    return parts
