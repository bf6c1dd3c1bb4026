"""One task of a user's own, and how its answers are said in the user's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hpo.meta.tasks.base import Episode
from hpo.meta.tasks.tables import Table

Columns = dict[str, Sequence[Any]]


@dataclass(frozen=True)
class OwnTask:
    """A support set, and what to make of a query table.

    support  an episode of one task
    query    the inputs of a table's rows, as an episode whose targets mean nothing
    answers  columns to show for a query table, from predictions (queries, outputs)
    """

    support: Episode
    query: Callable[[Table], Episode]
    answers: Callable[[Table, Tensor], Columns]


def one_task(
    inputs: NDArray[Any], targets: NDArray[Any] | None = None, lengths: NDArray[np.int64] | None = None
) -> Episode:
    """From inputs (examples, time[, features]); without ``targets`` they are 0."""
    targets = np.zeros(len(inputs), np.int64) if targets is None else targets
    return Episode.of(inputs[None], targets[None], None if lengths is None else lengths[None])


def padded(sequences: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Sequences (time, ...) of different lengths as inputs (examples, time, ...), and their lengths (examples,)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    inputs = np.zeros((len(sequences), lengths.max(), *sequences[0].shape[1:]), sequences[0].dtype)
    for row, sequence in zip(inputs, sequences, strict=True):
        row[: len(sequence)] = sequence
    return inputs, lengths
