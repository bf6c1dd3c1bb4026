"""Gradients and Hessian-vector products of a network's loss on episodes; base.py says what is computed.

There are four ways to the same numbers. The fastest that applies is taken, by the rules in
:func:`way` and :func:`gradient_way`:

    accelerated   by_accelerator.py   on the CPU, where the compiled library is at hand
    kernel        by_kernel.py        for gradients alone, where torch has a kernel that is faster than our scans
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
from hpo.meta.gradients.by_kernel import KernelLoss, kernel_pays, kernel_tasks
from hpo.meta.gradients.by_recurrences import RecurrenceLoss
from hpo.meta.network import Network
from hpo.meta.tasks.base import Episode

__all__ = ["EpisodeLoss", "Slope", "Way", "episode_loss", "gradient_way", "kernel_tasks", "way"]


class Way(StrEnum):
    """How derivatives are computed."""

    ACCELERATED = "accelerated"
    KERNEL = "kernel"
    RECURRENCES = "recurrences"
    AUTOGRAD = "autograd"


def way(network: Network, device: torch.device) -> Way:
    """The one that is taken for this network on this device, where curvature may be asked for; a trial's record."""
    if network.cell.recurrence is None:
        return Way.AUTOGRAD
    return Way.RECURRENCES if device.type != "cpu" or accelerator.library() is None else Way.ACCELERATED


def gradient_way(network: Network, episode: Episode) -> Way:
    """The one that is taken for slopes and predictions alone."""
    by = way(network, episode.targets.device)
    return Way.KERNEL if by is Way.RECURRENCES and kernel_pays(network, episode) else by


def episode_loss(network: Network, episode: Episode, by: Way) -> EpisodeLoss:
    """The loss of this network on these tasks."""
    if by is Way.KERNEL:
        return KernelLoss(network, episode)
    sequences, targets = network.pack(episode), episode.targets
    if by is Way.RECURRENCES:
        return RecurrenceLoss(network, sequences, targets)
    if by is Way.AUTOGRAD:
        return AutogradLoss(network, sequences, targets)
    library = accelerator.library()
    assert library is not None  # the rule
    return AcceleratedLoss(network, sequences, targets, library)
