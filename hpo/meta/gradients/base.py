"""What a learner differentiates: the loss of a batch's support or query sets, as a function of the parameters.

A learner is written on gradients and Hessian-vector products of this function, so it keeps no graph through its inner
loop and says nothing of how they are computed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from hpo.meta.cells import Params


@dataclass(frozen=True)
class Slope:
    """Predictions and the gradient of an episode loss at one point; the loss itself is ``network.loss`` of them.

    predictions  (tasks, examples, outputs)
    gradient     (tasks, *shape) of each task's own loss, for the parameters that were asked for; each in its own memory
    trace        what :meth:`EpisodeLoss.curvature` needs of the computation; None if it was not to be kept
    """

    predictions: Tensor
    gradient: Params
    trace: Any


class EpisodeLoss(Protocol):
    """The loss of every task of a batch; ``params`` (tasks, *shape), each task's own or one set expanded."""

    @property
    def tasks(self) -> int:
        """Number of tasks."""

    def predict(self, params: Params) -> Tensor:
        """Predictions (tasks, examples, outputs) alone."""

    def slope(self, params: Params, names: Collection[str], *, keep: bool) -> Slope:
        """Predictions and the gradient by the parameters ``names``; keep: curvature will be asked for."""

    def curvature(self, params: Params, slope: Slope, direction: Params) -> Params:
        """Each task's Hessian times ``direction``, (tasks, *shape) for every parameter.

        slope      of the same params, kept; to be used once: it may free its trace
        direction  (tasks, *shape), by the names that slope was asked for; the others are zero
        """
