"""Which step of which example is computed when, so that none is computed for padding.

The layout is that of cells/base.py. On other devices than the CPU it is dense: every step holds all examples. There the
number of kernel launches counts, not their size; and the dense layout follows from shapes alone, so nothing is read
from the device or copied to it, and a CUDA graph can hold the packing too (learners/cuda_graphs.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hpo.meta.cells.steps import Steps


@dataclass(frozen=True)
class Packing:
    """Where the rows of packed sequences come from.

    steps   examples at each step; packed is their sum
    source  (tasks, packed) which of the examples * time input steps stands in a row
    example (tasks, packed) which example a row belongs to
    share   (tasks, packed) a row's weight in the mean over its example's valid steps, 0 for padding
    last    (tasks, examples) the row of an example's last valid step
    even    whether it is known that all examples end together, at the last step
    """

    steps: Steps
    source: Tensor
    example: Tensor
    share: Tensor
    last: Tensor
    even: bool = False

    def chunk(self, n: int) -> list[Packing]:
        """At most ``n`` parts of about equal size, split along the tasks."""
        parts = (self.source.chunk(n), self.example.chunk(n), self.share.chunk(n), self.last.chunk(n))
        return [Packing(self.steps, *part, self.even) for part in zip(*parts, strict=True)]


def pack(lengths: Tensor, time: int, *, dense: bool | None = None) -> Packing:
    """For sequences of lengths (tasks, examples), padded to ``time`` steps; dense by the device where it is None."""
    cpu = lengths.device.type == "cpu"
    even = dense is None and cpu and bool((lengths == time).all())
    if dense is None:
        dense = even or not cpu
    sizes, source, last = _dense(lengths, time) if dense else _ragged(lengths, time)
    example, step = source // time, source % time
    length = lengths.gather(1, example)  # (tasks, packed)
    return Packing(
        Steps(sizes, at_once=dense and not even), source, example, (step < length) / length.double(), last, even
    )


def _dense(lengths: Tensor, time: int) -> tuple[tuple[int, ...], Tensor, Tensor]:
    """Sizes, source and last of a Packing where examples keep their order and none ends early."""
    tasks, examples = lengths.shape
    place = torch.arange(examples, device=lengths.device)
    step = torch.arange(time, device=lengths.device).unsqueeze(1)
    source = (place * time + step).flatten().repeat(tasks, 1)  # (tasks, time * examples)
    return (examples,) * time, source, (lengths - 1) * examples + place


def _ragged(lengths: Tensor, time: int) -> tuple[tuple[int, ...], Tensor, Tensor]:
    """Sizes, source and last of a Packing where the longest examples come first and each ends with its length."""
    order = lengths.argsort(dim=1, descending=True, stable=True)  # (tasks, examples)
    sizes = _sizes(lengths, time)
    source = torch.cat([order[:, :size] * time + step for step, size in enumerate(sizes)], dim=1)
    starts = torch.tensor((0, *sizes[:-1]), device=lengths.device).cumsum(0)
    return sizes, source, starts[lengths - 1] + order.argsort(dim=1)


def _sizes(lengths: Tensor, time: int) -> tuple[int, ...]:
    """How many examples are still running at each step, in the task that has most of them; 0 is left out."""
    longer = lengths.unsqueeze(2) > torch.arange(time, device=lengths.device)  # (tasks, examples, time)
    return tuple(size for size in longer.sum(dim=1).amax(dim=0).tolist() if size)
