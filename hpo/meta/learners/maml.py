"""Model-agnostic meta-learning (Finn, Abbeel & Levine 2017, arXiv:1703.03400), first and second order.

    theta                                              meta-parameters
    phi_0 = theta                                      in every task
    phi_{k+1} = phi_k - alpha grad L_support(phi_k)    k = 0..K-1, alpha = inner_lr
    meta-gradient = d/d theta mean_tasks L_query(phi_K)

First order leaves out how grad L_support depends on phi_k: d phi_K / d theta = 1 (section 5.2 of the paper). Without
``adapt_embedding`` the table is no part of phi: it stays as it is in the inner loop and gets a meta-gradient only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from hpo.config.learner import MamlConfig
from hpo.meta.cells import Params
from hpo.meta.gradients import Way, episode_loss, gradient_way, kernel_tasks, way
from hpo.meta.learners.base import Predictor
from hpo.meta.learners.chunks import Chunking, chunking
from hpo.meta.learners.cuda_graphs import CudaGraphs, capturable
from hpo.meta.learners.inner_loop import InnerLoop, descend
from hpo.meta.network import Metrics, Network
from hpo.meta.tasks.base import Episode, TaskBatch


@dataclass(frozen=True)
class _Part:
    """The sum of some tasks' meta-gradients, and the predictions (tasks, examples, outputs) of their query sets."""

    theta: Params
    predictions: Tensor


@dataclass(frozen=True)
class Maml:
    """See the module; implements Learner."""

    config: MamlConfig
    network: Network

    @property
    def inner_steps(self) -> int:
        """K."""
        return self.config.inner_steps

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """Fresh theta on the CPU."""
        return self.network.init(generator, dtype)

    def meta_gradient(self, meta: Params, batch: TaskBatch) -> tuple[Params, Metrics]:
        """Gradient like ``meta`` and the metrics of the query sets after K steps."""
        device = batch.support.inputs.device
        if capturable(self.network, device):
            return self._graphs.setdefault(device, CudaGraphs(device))(self._meta_gradient, meta, batch)
        return self._meta_gradient(meta, batch)

    def _meta_gradient(self, meta: Params, batch: TaskBatch) -> tuple[Params, Metrics]:
        second = self.config.order == "second"
        parameters = sum(tensor.numel() for tensor in meta.values())
        chunks = chunking(self.network, parameters, batch, self.inner_steps if second else 0)
        loop = InnerLoop.of(
            self.adapted, self.config.inner_lr, self.inner_steps, second=second, recompute=chunks.recompute
        )
        total, predictions = None, []
        for found in self._parts(loop, chunks, meta, batch):
            predictions.append(found.predictions)
            total = found.theta if total is None else _added(total, found.theta)
        assert total is not None  # a batch has tasks
        gradient = {name: tensor / batch.tasks for name, tensor in total.items()}
        return gradient, self.network.metrics(torch.cat(predictions), batch.query.targets)

    def _parts(self, loop: InnerLoop, chunks: Chunking, meta: Params, batch: TaskBatch) -> Iterator[_Part]:
        if chunks.one_by_one:
            support, query = (kernel_tasks(self.network, episode) for episode in (batch.support, batch.query))
            for own_support, own_query in zip(support, query, strict=True):
                found = loop.meta_gradient(meta, own_support, own_query)
                yield _Part(found.theta, found.predictions.unsqueeze(0))
            return
        for part in batch.chunk(-(-batch.tasks // chunks.tasks)):
            support_loss = episode_loss(self.network, part.support, chunks.support)
            query_loss = episode_loss(self.network, part.query, chunks.query)
            found = loop.meta_gradient(expanded(meta, part.tasks), support_loss, query_loss)
            yield _Part({name: tensor.sum(dim=0) for name, tensor in found.theta.items()}, found.predictions)

    def gradients(self, device: torch.device) -> Way:
        """See Learner."""
        return way(self.network, device)

    def adaptation(self, meta: Params, support: Episode) -> Iterator[Predictor]:
        """The predictors after 0, 1, 2, ... steps; keeps no graph."""
        loss = episode_loss(self.network, support, gradient_way(self.network, support))
        phi = expanded(meta, support.tasks)
        rates = dict.fromkeys(self.adapted, self.config.inner_lr)
        while True:
            yield partial(self._predict, phi)
            phi = descend(phi, loss.slope(phi, rates.keys(), keep=False), rates, consume=True)

    @cached_property
    def _graphs(self) -> dict[torch.device, CudaGraphs]:
        return {}

    @cached_property
    def adapted(self) -> list[str]:
        """The parameters that the inner loop changes."""
        return [name for name in self.network.names if name != "embedding" or self.config.adapt_embedding]

    def _predict(self, phi: Params, episode: Episode) -> Tensor:
        return episode_loss(self.network, episode, gradient_way(self.network, episode)).predict(phi)


def _added(total: Params, other: Params) -> Params:
    """In place: with one task at a time, other memory would be out of the cache."""
    torch._foreach_add_(list(total.values()), [other[name] for name in total])
    return total


def expanded(meta: Params, tasks: int) -> Params:
    """meta for every task, (tasks, *shape), without a copy."""
    return {name: tensor.expand(tasks, *tensor.shape) for name, tensor in meta.items()}
