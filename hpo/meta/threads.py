"""Who uses a training's share of the cores."""

from __future__ import annotations

import torch

from hpo.meta import accelerator

_accelerator_threads = 1


def use_threads(count: int, device: torch.device) -> None:
    """Gives the training ``count`` threads: the accelerator's, one for some of the tasks, where there is one.

    torch then has one: what is left to it is small, and where other processes want the cores, its threads wait for each
    other at every operation (the quickstart's meta-iteration beside two busy processes: 160 ms, and 55 ms this way).

    Numbers too small for a normal float count as 0, where the processor can: gradients through long sequences vanish
    into them, and arithmetic with them is slow. A meta-iteration of 20-way MAML (LSTM, H = 154, 4 inner steps at a
    large rate) takes 0.11 s, and 0.5 to 2 s with them. The accelerator's threads inherit that from the one that starts
    them.
    """
    global _accelerator_threads
    accelerated = device.type == "cpu" and accelerator.library() is not None
    _accelerator_threads = count if accelerated else 1
    torch.set_num_threads(1 if accelerated else count)
    torch.set_flush_denormal(True)


def accelerator_threads() -> int:
    """As many as the accelerator may use."""
    return _accelerator_threads
