"""Who uses a training's share of the cores."""

from __future__ import annotations

import torch

from hpo.meta import accelerator

_accelerator_threads = 1


def use_threads(count: int, device: torch.device) -> None:
    """Gives the training ``count`` threads: the accelerator's, one for some of the tasks, where there is one.

    torch then has one: what is left to it is small, and where other processes want the cores, its threads wait for each
    other at every operation (the quickstart's meta-iteration beside two busy processes: 160 ms, and 55 ms this way).
    """
    global _accelerator_threads
    accelerated = device.type == "cpu" and accelerator.library() is not None
    _accelerator_threads = count if accelerated else 1
    torch.set_num_threads(1 if accelerated else count)


def accelerator_threads() -> int:
    """As many as the accelerator may use."""
    return _accelerator_threads
