"""What a meta-learning algorithm is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.gradients import Way
from hpo.meta.network import Metrics, Network
from hpo.meta.tasks.base import Episode, TaskBatch


class Predictor(Protocol):
    """A network adapted to every task of a batch."""

    def __call__(self, episode: Episode, /) -> Tensor:
        """Predictions (tasks, examples, outputs) from the inputs and lengths alone; keeps no graph."""


class Learner(Protocol):
    """Learns meta-parameters (tensors without a task axis) from which few examples of a new task suffice."""

    @property
    def network(self) -> Network:
        """The model that is adapted."""

    @property
    def inner_steps(self) -> int:
        """How many adaptation steps it is trained for."""

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """Fresh meta-parameters on the CPU."""

    def meta_gradient(self, meta: Params, batch: TaskBatch) -> tuple[Params, Metrics]:
        """Gradient of the query loss after adaptation, averaged over tasks; and the query set's metrics."""

    def gradients(self, device: torch.device) -> Way:
        """How they are computed there, for the record."""

    def adaptation(self, meta: Params, support: Episode) -> Iterator[Predictor]:
        """The predictors after 0, 1, 2, ... steps on the support set, without end."""


@runtime_checkable
class Annealed(Protocol):
    """A learner whose outer loss changes as meta-training goes on."""

    def at(self, meta_iteration: int) -> Learner:
        """The one whose meta-gradient is wanted where so many meta-iterations are done."""


@runtime_checkable
class Remembering(Protocol):
    """A learner whose meta-parameters hold more than gradients teach."""

    def remember(self, meta: Params, support: Episode) -> None:
        """Called with the tasks of each step of the outer loop, after it; changes ``meta`` in place."""


def adapt(learner: Learner, meta: Params, support: Episode, steps: int) -> Predictor:
    """The predictor after ``steps`` steps on the support set."""
    return next(islice(learner.adaptation(meta, support), steps, None))
