"""How tokens become a recurrent layer's inputs, as linear maps.

Each task has its own table (tasks, vocabulary, size). Where there are fewer tokens than rows, every token is projected
once and the projections are looked up (``late``: 12 % of a meta-iteration of language identification less); otherwise
the rows are looked up first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor


@dataclass(frozen=True)
class LookUp:
    """Of tokens (tasks, packed) in tables of ``vocabulary`` rows."""

    tokens: Tensor
    vocabulary: int

    @property
    def late(self) -> bool:
        """See the module."""
        return self.vocabulary <= self.tokens.shape[1]

    def rows(self, table: Tensor) -> Tensor:
        """table (tasks, vocabulary, size) -> (tasks, packed, size)."""
        return F.embedding(self._places, table.flatten(0, 1))

    def sums(self, rows: Tensor) -> Tensor:
        """The transpose of :meth:`rows`: sums by token, (tasks, packed, size) -> (tasks, vocabulary, size)."""
        tasks, _, size = rows.shape
        table = rows.new_zeros(tasks * self.vocabulary, size)
        table.index_add_(0, self._places.flatten(), rows.flatten(0, 1))
        return table.view(tasks, self.vocabulary, size)

    @cached_property
    def _places(self) -> Tensor:
        """(tasks, packed) in the tables of all tasks one after the other."""
        starts = torch.arange(self.tokens.shape[0], device=self.tokens.device) * self.vocabulary
        return self.tokens + starts.unsqueeze(1)
