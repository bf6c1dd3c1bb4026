"""What the recurrences of gated cells share; gates (tasks, rows, G, H), the third squashed by tanh, others by sigma."""

from __future__ import annotations

import torch
from torch import Tensor


def split_gates(rows: Tensor, gates: int) -> Tensor:
    """(tasks, rows, gates * H) -> (tasks, rows, gates, H)."""
    return rows.view(*rows.shape[:2], gates, -1)


def slopes(gates: Tensor) -> Tensor:
    """The derivatives of the activations by what stands before them, s (1 - s) and 1 - tanh^2, from the activations."""
    found = torch.addcmul(gates, gates, gates, value=-1)
    squashed = gates[:, :, 2]
    torch.addcmul(squashed.new_ones(()), squashed, squashed, value=-1, out=found[:, :, 2])
    return found


def add_product(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
    """Like torch.mul, but adds to ``out``."""
    return out.addcmul_(a, b)
