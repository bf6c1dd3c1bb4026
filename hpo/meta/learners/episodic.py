"""Learners that read a support set instead of descending on it: one differentiable map from it to a predictor.

Meta-training is plain gradient descent on the query loss through that map. There is one adaptation step, the reading;
before it nothing is known of the task, and every prediction is 0: for classes, all are equally likely.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.gradients import Way
from hpo.meta.learners.base import Predictor
from hpo.meta.network import Metrics, Network
from hpo.meta.profile import component
from hpo.meta.tasks.base import Episode, TaskBatch


class Episodic(ABC):
    """A learner whose whole algorithm is :meth:`condition`; implements Learner."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @property
    def inner_steps(self) -> int:
        """One: the reading of the support set."""
        return 1

    @abstractmethod
    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """See Learner."""

    @abstractmethod
    def condition(self, meta: Params, support: Episode) -> Callable[[Episode], Tensor]:
        """From a query set's inputs and lengths to predictions (tasks, examples, outputs); differentiable by meta."""

    def gradients(self, device: torch.device) -> Way:
        """See Learner."""
        return Way.AUTOGRAD

    def loss(self, meta: Params, batch: TaskBatch) -> tuple[Tensor, Tensor]:
        """What meta-training lowers, a number; and the predictions of the query set."""
        predictions = self.condition(meta, batch.support)(batch.query)
        return self.network.loss(predictions, batch.query.targets).mean(), predictions

    @torch.enable_grad()
    def meta_gradient(self, meta: Params, batch: TaskBatch) -> tuple[Params, Metrics]:
        """See Learner."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in meta.items()}
        with component("forward"):
            loss, predictions = self.loss(leaves, batch)
        with component("adjoint"):
            found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(leaves, found, strict=True)), self.network.metrics(predictions.detach(), batch.query.targets)

    def adaptation(self, meta: Params, support: Episode) -> Iterator[Predictor]:
        """Knows nothing at first, and all that the support set tells from then on."""
        yield self._uninformed
        with torch.no_grad():
            predict = torch.no_grad()(self.condition(meta, support))
        while True:
            yield predict

    def _uninformed(self, episode: Episode) -> Tensor:
        like = episode.inputs if episode.inputs.is_floating_point() else torch.empty(0, device=episode.inputs.device)
        return like.new_zeros(*episode.lengths.shape, self.network.outputs)
