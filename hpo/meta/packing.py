"""Which step of which example is computed when, so that none is computed for padding.

The layout is that of cells/base.py. On an accelerator every step holds all examples instead: there the number of kernel
launches counts, not their size, and equal shapes need no look at the lengths from the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Where the rows of packed sequences come from.

    sizes   examples at each step, never growing; packed = sum(sizes)
    source  (tasks, packed) which of the examples * time input steps stands in a row
    example (tasks, packed) which example a row belongs to
    share   (tasks, packed) a row's weight in the mean over its example's valid steps, 0 for padding
    last    (tasks, examples) the row of an example's last valid step
    """

    sizes: tuple[int, ...]
    source: Tensor
    example: Tensor
    share: Tensor
    last: Tensor


def pack(lengths: Tensor, time: int) -> Packing:
    """For sequences of lengths (tasks, examples), padded to ``time`` steps."""
    tasks, examples = lengths.shape
    if lengths.device.type == "cpu":
        order = lengths.argsort(dim=1, descending=True, stable=True)  # (tasks, examples)
        sizes = _sizes(lengths, time)
    else:
        order = torch.arange(examples, device=lengths.device).expand(tasks, examples)
        sizes = (examples,) * time
    source = torch.cat([order[:, :size] * time + step for step, size in enumerate(sizes)], dim=1)
    example, step = source // time, source % time
    length = lengths.gather(1, example)  # (tasks, packed)
    share = torch.where(step < length, 1.0 / length.double(), 0.0)
    starts = torch.tensor((0, *sizes[:-1]), device=lengths.device).cumsum(0)
    return Packing(sizes, source, example, share, starts[lengths - 1] + order.argsort(dim=1))


def _sizes(lengths: Tensor, time: int) -> tuple[int, ...]:
    """How many examples are still running at each step, in the task that has most of them; 0 is left out."""
    longer = lengths.unsqueeze(2) > torch.arange(time)  # (tasks, examples, time)
    return tuple(size for size in longer.sum(dim=1).amax(dim=0).tolist() if size)
