"""Gradient-based learners that differentiate through their inner loop, by its adjoint (inner_loop.py).

    meta-gradient = d/d (theta, alpha) mean_tasks sum_k w_k L_query(phi_k)

Which parameters are adapted, what the rates alpha are and whether they are meta-parameters too is what makes one of
them another; by default they are MAML's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hpo.config.learner import UnrolledConfig
from hpo.meta.cells import Params
from hpo.meta.gradients import episode_loss, kernel_tasks
from hpo.meta.learners.chunks import Chunking, chunking
from hpo.meta.learners.gradient_based import GradientBased, expanded, sums
from hpo.meta.learners.inner_loop import InnerLoop, MetaGradient
from hpo.meta.network import Metrics
from hpo.meta.tasks.base import TaskBatch


@dataclass(frozen=True)
class Part:
    """The sum of some tasks' meta-gradients, and the predictions (tasks, examples, outputs) of their query sets."""

    gradient: Params
    predictions: Tensor


@dataclass(frozen=True)
class Unrolled(GradientBased):
    """See the module."""

    config: UnrolledConfig

    @property
    def learns_rates(self) -> bool:
        """Whether the rates are meta-parameters."""
        return False

    @property
    def weights(self) -> Sequence[float]:
        """w_0..w_K of the query losses: 1 for that after the last step alone."""
        return (0.0,) * self.inner_steps + (1.0,)

    def rate_gradient(self, by_step: Sequence[Params]) -> Params:
        """By the meta-parameters that the rates are, from what it is by alpha_0..alpha_{K-1} of each parameter."""
        return {}

    def loop(self, meta: Params) -> InnerLoop:
        """With the rates that these meta-parameters say."""
        rates = [self.rates(meta, step) for step in range(self.inner_steps)]
        return InnerLoop(rates, self.config.order == "second", self.weights, self.learns_rates)

    def _meta_gradient(self, meta: Params, batch: TaskBatch) -> tuple[Params, Metrics]:
        total, predictions = None, []
        for found in self._parts(meta, batch):
            predictions.append(found.predictions)
            total = found.gradient if total is None else _added(total, found.gradient)
        assert total is not None  # a batch has tasks
        gradient = {name: total[name] / batch.tasks for name in meta}
        return gradient, self.network.metrics(torch.cat(predictions), batch.query.targets)

    @property
    def _starts_from_theta(self) -> bool:
        """Whether phi_0 is the same for all tasks."""
        return True

    def _parts(self, meta: Params, batch: TaskBatch) -> Iterator[Part]:
        parameters = sum(tensor.numel() for tensor in meta.values())
        loop = self.loop(meta)
        traced, points = (self.inner_steps if kept else 0 for kept in (loop.second, loop.returns))
        chunks = chunking(self.network, parameters, batch, traced, points)
        loop = replace(loop, recompute=chunks.recompute)
        if chunks.one_by_one and self._starts_from_theta:
            return self._one_by_one(loop, self._theta(meta), batch)
        return self._chunked(loop, chunks, meta, batch)

    def _one_by_one(self, loop: InnerLoop, theta: Params, batch: TaskBatch) -> Iterator[Part]:
        support, query = (kernel_tasks(self.network, episode) for episode in (batch.support, batch.query))
        for own_support, own_query in zip(support, query, strict=True):
            found = loop.meta_gradient(theta, own_support, own_query)
            yield Part(found.theta | self.rate_gradient(found.rates), found.predictions.unsqueeze(0))

    def _chunked(self, loop: InnerLoop, chunks: Chunking, meta: Params, batch: TaskBatch) -> Iterator[Part]:
        theta = self._theta(meta)
        for part in batch.chunk(-(-batch.tasks // chunks.tasks)):
            support_loss = episode_loss(self.network, part.support, chunks.support)
            query_loss = episode_loss(self.network, part.query, chunks.query)
            yield self._summed(loop.meta_gradient(expanded(theta, part.tasks), support_loss, query_loss))

    def _summed(self, found: MetaGradient) -> Part:
        rates = self.rate_gradient([sums(own) for own in found.rates])
        return Part(sums(found.theta) | rates, found.predictions)


def _added(total: Params, other: Params) -> Params:
    """In place: with one task at a time, other memory would be out of the cache."""
    torch._foreach_add_(list(total.values()), [other[name] for name in total])
    return total
