"""What the head reads of a recurrent layer's outputs: the last one of a sequence, or the mean of all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from hpo.meta.packing import Packing


@dataclass(frozen=True)
class ReadOut:
    """A linear map of the outputs over the rows of one packing."""

    kind: Literal["last", "mean"]
    packing: Packing

    def __call__(self, outputs: Tensor) -> Tensor:
        """outputs (tasks, packed, H) -> (tasks, examples, H)."""
        tasks, _, hidden = outputs.shape
        if self.only_last:
            return outputs[:, -self._examples :]
        if self.kind == "last":
            return outputs.flatten(0, 1).index_select(0, self._rows).view(tasks, -1, hidden)
        weighted, steps = outputs * self._shares(outputs), self.packing.steps
        if steps.equal:
            sums = weighted.view(tasks, len(steps.sizes), self._examples, hidden).sum(dim=1)
        else:
            sums = outputs.new_zeros(tasks, self._examples, hidden)
            for step in steps.split(weighted):
                sums[:, : step.shape[1]].add_(step)  # by step: a row by row index_add takes ten times as long
        return sums.flatten(0, 1).index_select(0, self._places).view(sums.shape)

    def transpose(self, read: Tensor, *, fill: bool = True) -> Tensor:
        """read (tasks, examples, H) -> (tasks, packed, H); fill: with zeros where ``only_last``, else with anything."""
        tasks, _, hidden = read.shape
        if self.only_last:
            shape = (tasks, self.packing.source.shape[1], hidden)
            rows = read.new_zeros(shape) if fill else read.new_empty(shape)
            rows[:, -self._examples :] = read
            return rows
        if self.kind == "last":
            rows = read.new_zeros(self.packing.source.numel(), hidden)
            return rows.index_copy_(0, self._rows, read.flatten(0, 1)).view(tasks, -1, hidden)
        ordered = read.flatten(0, 1).index_select(0, self._owners).view(read.shape)
        rows = torch.cat([ordered[:, :size] for size in self.packing.steps.sizes], dim=1)
        return rows.mul_(self._shares(read))

    def _shares(self, like: Tensor) -> Tensor:
        return self.packing.share.to(like.dtype).unsqueeze(2)

    @property
    def only_last(self) -> bool:
        """Whether the rows of the last step are what is read, in order."""
        return self.kind == "last" and self.packing.even

    @property
    def _examples(self) -> int:
        return self.packing.last.shape[1]

    @cached_property
    def _rows(self) -> Tensor:
        """The last row of every example of every task, among the rows of all tasks."""
        return _of_all_tasks(self.packing.last, self.packing.source.shape[1])

    @cached_property
    def _owners(self) -> Tensor:
        """The example in each place of the first step, among the examples of all tasks."""
        return _of_all_tasks(self._order, self._examples)

    @cached_property
    def _places(self) -> Tensor:
        """The place of every example in the first step, among the places of all tasks."""
        order = self._order
        place = torch.arange(self._examples, device=order.device).expand_as(order)
        return _of_all_tasks(torch.empty_like(order).scatter_(1, order, place), self._examples)

    @property
    def _order(self) -> Tensor:
        """(tasks, examples): every example runs at the first step, and keeps its place."""
        return self.packing.example[:, : self._examples]


def _of_all_tasks(index: Tensor, size: int) -> Tensor:
    """index (tasks, n) into each task's own ``size`` places -> (tasks * n) into the places of all tasks."""
    return (index + torch.arange(index.shape[0], device=index.device).unsqueeze(1) * size).flatten()
