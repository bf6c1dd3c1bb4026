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
from functools import partial

import torch
from torch import Tensor

from hpo.config.learner import MamlConfig
from hpo.meta.cells import Params
from hpo.meta.learners.base import Predictor
from hpo.meta.network import Metrics, Network, Sequences
from hpo.meta.tasks.base import Episode, TaskBatch


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
        parts = batch.chunk(-(-batch.tasks // tasks_at_once(self.network)))
        results = [self._part(meta, part, batch.tasks) for part in parts]
        gradient = {name: torch.stack([result[0][name] for result in results]).sum(dim=0) for name in meta}
        return gradient, _join([result[1] for result in results])

    def adaptation(self, meta: Params, support: Episode) -> Iterator[Predictor]:
        """The predictors after 0, 1, 2, ... steps; keeps no graph."""
        sequences = self.network.pack(support)
        params = {name: tensor.expand(support.tasks, *tensor.shape) for name, tensor in _leaves(meta).items()}
        while True:
            yield partial(self._predict, params)
            params = _leaves(self._step(params, sequences, support.targets, create_graph=False))

    def _part(self, meta: Params, part: TaskBatch, tasks: int) -> tuple[Params, Metrics]:
        """The part's share of the mean over ``tasks`` tasks."""
        leaves = _leaves(meta)
        support = self.network.pack(part.support)
        params = {name: tensor.expand(part.tasks, *tensor.shape) for name, tensor in leaves.items()}
        for _ in range(self.inner_steps):
            params = self._step(params, support, part.support.targets, create_graph=self.config.order == "second")
        predictions = self.network.forward(params, self.network.pack(part.query))
        loss = self.network.loss(predictions, part.query.targets).sum() / tasks
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        return dict(zip(leaves, gradients, strict=True)), self.network.metrics(predictions, part.query.targets)

    @torch.enable_grad()
    def _step(self, params: Params, support: Sequences, targets: Tensor, *, create_graph: bool) -> Params:
        """phi_{k+1}; with create_graph=False its derivative with respect to phi_k is 1."""
        adapted = [name for name in params if name != "embedding" or self.config.adapt_embedding]
        loss = self.network.loss(self.network.forward(params, support), targets).sum()  # tasks do not interact
        gradients = torch.autograd.grad(loss, [params[name] for name in adapted], create_graph=create_graph)
        steps = zip(adapted, gradients, strict=True)
        return params | {name: torch.sub(params[name], step, alpha=self.config.inner_lr) for name, step in steps}

    @torch.no_grad()
    def _predict(self, params: Params, episode: Episode) -> Tensor:
        return self.network.forward(params, self.network.pack(episode))


def tasks_at_once(network: Network) -> int:
    """Tasks whose graph is held at the same time: bounds memory, whatever the meta-batch (about 1 GB in quickstart).

    Not smaller for the sake of caches: under autograd, parts of 8, 4 or 2 of 16 tasks took 1-5, 4-15 and 25-45 % longer
    (H = 32, 64, 128).
    """
    return max(4, 2048 // network.config.hidden_size)


def _leaves(params: Params) -> Params:
    return {name: tensor.detach().requires_grad_() for name, tensor in params.items()}


def _join(parts: list[Metrics]) -> Metrics:
    accuracies = [part.accuracy for part in parts if part.accuracy is not None]
    return Metrics(torch.cat([part.loss for part in parts]), torch.cat(accuracies) if accuracies else None)
