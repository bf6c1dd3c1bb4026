"""What the recurrences of gated cells share; gates (tasks, rows, G, H), the third squashed by tanh, others by sigma."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hpo.meta.cells.steps import Steps


def split_gates(rows: Tensor, gates: int) -> Tensor:
    """(tasks, rows, gates * H) -> (tasks, rows, gates, H)."""
    return rows.view(*rows.shape[:2], gates, -1)


def slopes(gates: Tensor) -> Tensor:
    """The derivatives of the activations by what stands before them, s (1 - s) and 1 - tanh^2, from the activations."""
    found = torch.addcmul(gates, gates, gates, value=-1)
    squashed = gates[:, :, 2]
    torch.addcmul(squashed.new_ones(()), squashed, squashed, value=-1, out=found[:, :, 2])
    return found


def one_by_one(gates: Tensor, steps: Steps) -> tuple[Tensor, ...]:
    """gates (tasks, rows, G, H) as what :func:`times_each` takes: all in one where operations are to be few.

    On a CPU, a factor that is broadcast to the gates takes more than twice as long.
    """
    return (gates,) if steps.at_once else gates.unbind(2)


def step_by_step(gates: Tensor, steps: Steps) -> list[tuple[Tensor, ...]]:
    """:func:`one_by_one` for each step."""
    return list(zip(*map(steps.split, one_by_one(gates, steps)), strict=True))


def times_each(
    product: Callable[..., Tensor], gates: tuple[Tensor, ...], factor: Tensor, out: tuple[Tensor, ...]
) -> None:
    """product(gate, factor) of every gate; factor (tasks, rows, H)."""
    if gates[0].ndim > factor.ndim:
        factor = factor.unsqueeze(2)
    for gate, place in zip(gates, out, strict=True):
        product(gate, factor, out=place)


def add_product(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
    """Like torch.mul, but adds to ``out``."""
    return out.addcmul_(a, b)
