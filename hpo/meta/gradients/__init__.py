"""Gradients and Hessian-vector products of a network's loss on episodes; base.py says what is computed.

There are three ways to the same numbers. The fastest that applies is taken, by the rule in :func:`way`:

    accelerated   by_accelerator.py   on the CPU, where the compiled library is at hand
    recurrences   by_recurrences.py   on any device, for every cell that has its derivatives written out
    autograd      by_autograd.py      everything else
"""

from __future__ import annotations

from enum import StrEnum

import torch

from hpo.meta import accelerator
from hpo.meta.gradients.base import EpisodeLoss, Slope
from hpo.meta.gradients.by_accelerator import AcceleratedLoss
from hpo.meta.gradients.by_autograd import AutogradLoss
from hpo.meta.gradients.by_recurrences import RecurrenceLoss
from hpo.meta.network import Network
from hpo.meta.tasks.base import Episode

__all__ = ["EpisodeLoss", "Slope", "Way", "episode_loss", "way"]


class Way(StrEnum):
    """How derivatives are computed."""

    ACCELERATED = "accelerated"
    RECURRENCES = "recurrences"
    AUTOGRAD = "autograd"


def way(network: Network, device: torch.device) -> Way:
    """The one that is taken for this network on this device."""
    if network.cell.recurrence is None:
        return Way.AUTOGRAD
    return Way.RECURRENCES if device.type != "cpu" or accelerator.library() is None else Way.ACCELERATED


def episode_loss(network: Network, episode: Episode) -> EpisodeLoss:
    """The loss of this network on these tasks."""
    sequences, targets = network.pack(episode), episode.targets
    match way(network, targets.device):
        case Way.ACCELERATED:
            library = accelerator.library()
            assert library is not None  # the rule
            return AcceleratedLoss(network, sequences, targets, library)
        case Way.RECURRENCES:
            return RecurrenceLoss(network, sequences, targets)
        case Way.AUTOGRAD:
            return AutogradLoss(network, sequences, targets)
