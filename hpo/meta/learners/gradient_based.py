"""Learners whose inner loop is gradient descent from meta-learned initial parameters, differentiated by its adjoint.

    theta                                                meta-parameters, of the network
    phi_0 = theta                                        in every task
    phi_{k+1} = phi_k - alpha_k grad L_support(phi_k)    k = 0..K-1, of the adapted parameters
    meta-gradient = d/d (theta, alpha) mean_tasks sum_k w_k L_query(phi_k)

Which parameters are adapted, what the rates alpha are and whether they are meta-parameters too is what makes one of
these learners another; by default they are MAML's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count

import torch
from torch import Tensor

from hpo.config.learner import GradientBasedConfig
from hpo.meta.cells import Params
from hpo.meta.gradients import Way, episode_loss, gradient_way, kernel_tasks, way
from hpo.meta.learners.base import Predictor
from hpo.meta.learners.chunks import Chunking, chunking
from hpo.meta.learners.cuda_graphs import CudaGraphs, capturable
from hpo.meta.learners.inner_loop import InnerLoop, MetaGradient, Rates, descend
from hpo.meta.network import Metrics, Network
from hpo.meta.tasks.base import Episode, TaskBatch


@dataclass(frozen=True)
class Part:
    """The sum of some tasks' meta-gradients, and the predictions (tasks, examples, outputs) of their query sets."""

    gradient: Params
    predictions: Tensor


@dataclass(frozen=True)
class GradientBased:
    """See the module; implements Learner."""

    config: GradientBasedConfig
    network: Network

    @property
    def inner_steps(self) -> int:
        """K."""
        return self.config.inner_steps

    @cached_property
    def adapted(self) -> list[str]:
        """The parameters that the inner loop changes."""
        return self.network.names

    @property
    def learns_rates(self) -> bool:
        """Whether the rates are meta-parameters."""
        return False

    @property
    def weights(self) -> Sequence[float]:
        """w_0..w_K of the query losses: 1 for that after the last step alone."""
        return (0.0,) * self.inner_steps + (1.0,)

    def rates(self, meta: Params, step: int) -> Rates:
        """alpha_k of the adapted parameters; ``step`` may be K or more."""
        return dict.fromkeys(self.adapted, self.config.inner_lr)

    def rate_gradient(self, by_step: Sequence[Params]) -> Params:
        """By the meta-parameters that the rates are, from what it is by alpha_0..alpha_{K-1} of each parameter."""
        return {}

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """Fresh meta-parameters on the CPU."""
        return self.network.init(generator, dtype)

    def gradients(self, device: torch.device) -> Way:
        """See Learner."""
        return way(self.network, device)

    def meta_gradient(self, meta: Params, batch: TaskBatch) -> tuple[Params, Metrics]:
        """Gradient like ``meta`` and the metrics of the query sets after K steps."""
        device = batch.support.inputs.device
        if self._is_one_program and capturable(self.network, device):
            return self._graphs.setdefault(device, CudaGraphs(device))(self._meta_gradient, meta, batch)
        return self._meta_gradient(meta, batch)

    def adaptation(self, meta: Params, support: Episode) -> Iterator[Predictor]:
        """The predictors after 0, 1, 2, ... steps; keeps no graph."""
        for phi in self.descent(meta, support):
            yield partial(self._predict, phi)

    def start(self, meta: Params, support: Episode) -> Params:
        """phi_0 (tasks, *shape)."""
        return expanded(self._theta(meta), support.tasks)

    def descent(self, meta: Params, support: Episode) -> Iterator[Params]:
        """phi_0, phi_1, ... (tasks, *shape), without end; keeps no graph."""
        loss = episode_loss(self.network, support, gradient_way(self.network, support))
        phi = self.start(meta, support)
        for step in count():
            yield phi
            rates = self.rates(meta, step)
            phi = descend(phi, loss.slope(phi, rates.keys(), keep=False), rates, consume=True)

    def _meta_gradient(self, meta: Params, batch: TaskBatch) -> tuple[Params, Metrics]:
        total, predictions = None, []
        for found in self._parts(meta, batch):
            predictions.append(found.predictions)
            total = found.gradient if total is None else _added(total, found.gradient)
        assert total is not None  # a batch has tasks
        gradient = {name: total[name] / batch.tasks for name in meta}
        return gradient, self.network.metrics(torch.cat(predictions), batch.query.targets)

    def _parts(self, meta: Params, batch: TaskBatch) -> Iterator[Part]:
        second = self.config.order == "second"
        parameters = sum(tensor.numel() for tensor in meta.values())
        chunks = chunking(self.network, parameters, batch, self.inner_steps if second else 0)
        rates = [self.rates(meta, step) for step in range(self.inner_steps)]
        loop = InnerLoop(rates, second, self.weights, self.learns_rates, chunks.recompute)
        return self._one_by_one(loop, meta, batch) if chunks.one_by_one else self._chunked(loop, chunks, meta, batch)

    def _one_by_one(self, loop: InnerLoop, meta: Params, batch: TaskBatch) -> Iterator[Part]:
        theta = self._theta(meta)
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
        rates = self.rate_gradient([_sums(own) for own in found.rates])
        return Part(_sums(found.theta) | rates, found.predictions)

    def _theta(self, meta: Params) -> Params:
        """Those of the network."""
        return {name: meta[name] for name in self.network.names}

    @property
    def _is_one_program(self) -> bool:
        """Whether every meta-gradient is the same function: what a CUDA graph can hold."""
        return True

    @cached_property
    def _graphs(self) -> dict[torch.device, CudaGraphs]:
        return {}

    def _predict(self, phi: Params, episode: Episode) -> Tensor:
        return episode_loss(self.network, episode, gradient_way(self.network, episode)).predict(phi)


def expanded(meta: Params, tasks: int) -> Params:
    """meta for every task, (tasks, *shape), without a copy."""
    return {name: tensor.expand(tasks, *tensor.shape) for name, tensor in meta.items()}


def _sums(by_task: Params) -> Params:
    return {name: tensor.sum(dim=0) for name, tensor in by_task.items()}


def _added(total: Params, other: Params) -> Params:
    """In place: with one task at a time, other memory would be out of the cache."""
    torch._foreach_add_(list(total.values()), [other[name] for name in total])
    return total
