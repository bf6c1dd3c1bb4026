"""Packed rows, step by step; base.py says what packed means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Steps:
    """How many examples run at each step, never growing; row e of step t continues row e of step t - 1.

    at_once  whether what can be computed for all steps at once should be, as on a GPU, where launches count; a CPU is
             faster (10 % at H = 32) where a step is computed to its end while it is in the cache
    """

    sizes: tuple[int, ...]
    at_once: bool = False

    @property
    def first(self) -> int:
        """Rows of the first step: they have no predecessor."""
        return self.sizes[0]

    @cached_property
    def equal(self) -> bool:
        """Whether no example ends early."""
        return self.sizes[-1] == self.first

    def split(self, rows: Tensor) -> list[Tensor]:
        """rows (tasks, packed, ...) -> a view (tasks, size, ...) for each step."""
        return list(rows.split_with_sizes(self.sizes, dim=1))

    def first_rows(self, rows: Tensor) -> list[Tensor]:
        """rows (tasks, first, ...) -> for each step a view (tasks, size, ...), all of the same memory."""
        return [continuing(rows, size) for size in self.sizes]

    def later(self, rows: Tensor) -> Tensor:
        """All rows but the first step's, (tasks, packed - first, ...)."""
        return rows[:, self.first :]

    def previous(self, rows: Tensor) -> Tensor:
        """The predecessor of each of the :meth:`later` rows, (tasks, packed - first, ...)."""
        if self.equal:
            return rows[:, : rows.shape[1] - self.first]
        steps = zip(self.split(rows), self.sizes[1:], strict=False)
        parts = [step[:, :size] for step, size in steps]
        return torch.cat(parts, dim=1) if parts else rows[:, :0]

    def add_to_previous(self, rows: Tensor, later: Tensor) -> None:
        """Adds each row of ``later`` (tasks, packed - first, ...) to its predecessor in ``rows``, in place."""
        if self.equal:
            rows[:, : rows.shape[1] - self.first].add_(later)
            return
        parts = later.split_with_sizes(self.sizes[1:], dim=1)
        for step, part in zip(self.split(rows), parts, strict=False):
            step[:, : part.shape[1]].add_(part)


def receive(step: Tensor, carried: Tensor, *, only: bool) -> None:
    """Adds to a step what comes back from the examples that continue; only: in the place of what it holds."""
    if only:
        step.copy_(carried)
    else:
        continuing(step, carried.shape[1]).add_(carried)


def continuing(step: Tensor, size: int) -> Tensor:
    """The rows of the first ``size`` examples of a step: the others have ended."""
    return step if step.shape[1] == size else step[:, :size]
