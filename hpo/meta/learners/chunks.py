"""How a meta-batch is computed: by which ways, and how many tasks at a time, so that memory is bounded."""

from __future__ import annotations

from dataclasses import dataclass

from hpo.memory import CPU_BUDGET, GPU_BUDGET, KEPT, REAL
from hpo.meta.gradients import Way, gradient_way, way
from hpo.meta.network import Network
from hpo.meta.tasks.base import TaskBatch

_BUDGETS = {Way.ACCELERATED: CPU_BUDGET // 2, Way.RECURRENCES: CPU_BUDGET, Way.AUTOGRAD: CPU_BUDGET}
_MOST_KEPT = 2**29  # bytes of one task's steps; above, they are computed again on the way back
_GRAPH = 3  # times as many numbers are kept in autograd's graph


@dataclass(frozen=True)
class Chunking:
    """tasks: how many at a time; recompute: see InnerLoop; support, query: how their losses are differentiated."""

    tasks: int
    recompute: bool
    support: Way
    query: Way

    @property
    def one_by_one(self) -> bool:
        """Whether both losses are computed one task after another; more at a time would only leave the cache."""
        return self.support is self.query is Way.KERNEL


def chunking(network: Network, parameters: int, batch: TaskBatch, kept_steps: int, points: int = 0) -> Chunking:
    """For an inner loop that keeps ``kept_steps`` steps of these tasks, of a network of so many parameters.

    points  steps of which no more than parameters and gradient are kept
    """
    device = batch.support.inputs.device
    by = way(network, device)
    ways = by if kept_steps else gradient_way(network, batch.support), gradient_way(network, batch.query)
    numbers = network.config.layers * network.config.hidden_size * KEPT * (_GRAPH if by is Way.AUTOGRAD else 1) * REAL
    support, query = (episode.targets.shape[1] * episode.inputs.shape[2] for episode in (batch.support, batch.query))
    recompute = kept_steps * support * numbers > _MOST_KEPT
    traces = support * min(kept_steps, 1) if recompute else support * kept_steps
    if by is not Way.ACCELERATED:  # which keeps one task's query set at a time
        traces += query
    each = traces * numbers + (max(kept_steps, points) + 2) * 2 * parameters * REAL
    budget = _BUDGETS[by] if device.type == "cpu" else GPU_BUDGET
    return Chunking(max(1, budget // each), recompute, *ways)
