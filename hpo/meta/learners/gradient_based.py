"""Learners whose inner loop is gradient descent from meta-learned initial parameters.

    theta                                                meta-parameters, of the network
    phi_0 = theta                                        in every task
    phi_{k+1} = phi_k - alpha_k grad L_support(phi_k)    k = 0..K-1, of the adapted parameters

unrolled.py has those that differentiate through it; reptile.py does without.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count

import torch
from torch import Tensor

from hpo.config.learner import InnerLoopConfig
from hpo.meta.cells import Params
from hpo.meta.gradients import Way, episode_loss, gradient_way, way
from hpo.meta.learners.base import Predictor
from hpo.meta.learners.cuda_graphs import CudaGraphs, capturable
from hpo.meta.learners.inner_loop import Rates, descend
from hpo.meta.network import Metrics, Network
from hpo.meta.tasks.base import Episode, TaskBatch


@dataclass(frozen=True)
class GradientBased(ABC):
    """See the module; implements Learner."""

    config: InnerLoopConfig
    network: Network

    @property
    def inner_steps(self) -> int:
        """K."""
        return self.config.inner_steps

    @cached_property
    def adapted(self) -> list[str]:
        """The parameters that the inner loop changes."""
        return self.network.names

    def rates(self, meta: Params, step: int) -> Rates:
        """alpha_k of the adapted parameters; ``step`` may be K or more."""
        return dict.fromkeys(self.adapted, self.config.inner_lr)

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

    @abstractmethod
    def _meta_gradient(self, meta: Params, batch: TaskBatch) -> tuple[Params, Metrics]:
        """:meth:`meta_gradient`, kernel by kernel."""

    @property
    def _is_one_program(self) -> bool:
        """Whether every meta-gradient is the same function: what a CUDA graph can hold."""
        return True

    @cached_property
    def _graphs(self) -> dict[torch.device, CudaGraphs]:
        return {}

    def _theta(self, meta: Params) -> Params:
        """Those of the network."""
        return {name: meta[name] for name in self.network.names}

    def _predict(self, phi: Params, episode: Episode) -> Tensor:
        return episode_loss(self.network, episode, gradient_way(self.network, episode)).predict(phi)


def expanded(meta: Params, tasks: int) -> Params:
    """meta for every task, (tasks, *shape), without a copy."""
    return {name: tensor.expand(tasks, *tensor.shape) for name, tensor in meta.items()}


def sums(by_task: Params) -> Params:
    """Over tasks: (*shape)."""
    return {name: tensor.sum(dim=0) for name, tensor in by_task.items()}
