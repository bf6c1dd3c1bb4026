"""Tasks of a user's own whose targets are labels: any names, up to as many as the learner tells apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hpo.errors import InputError
from hpo.meta.own_tasks.base import Columns, OwnTask, one_task, padded
from hpo.meta.tasks.base import Episode
from hpo.meta.tasks.tables import Table, require_columns
from hpo.meta.tasks.tables.cells import names

Read = Callable[[Table], Sequence[NDArray[Any]]]  # each row's sequence


def labelled_task(support: Table, label_column: str, ways: int, read: Read) -> OwnTask:
    """Raises InputError where the support set has more labels than ``ways``, or a table is not what it should be."""
    require_columns(support, [label_column])
    labels = names(support, label_column)
    known = sorted(set(labels))
    if len(known) > ways:
        raise InputError(
            f"{support.path}: found {len(known)} labels ({', '.join(known)}), expected at most {ways}: the learner was"
            f" trained to tell {ways} classes apart"
        )
    inputs, lengths = padded(read(support))
    targets = np.array([known.index(label) for label in labels])
    return OwnTask(
        one_task(inputs, targets, lengths),
        query=lambda table: _episode(read(table)),
        answers=lambda table, predictions: _answers(known, predictions),
    )


def _episode(sequences: Sequence[NDArray[Any]]) -> Episode:
    inputs, lengths = padded(sequences)
    return one_task(inputs, lengths=lengths)


def _answers(known: list[str], predictions: Tensor) -> Columns:
    """Of the labels that the support set has, the likeliest, and how likely each is."""
    probabilities = predictions[:, : len(known)].softmax(dim=1)
    best = probabilities.argmax(dim=1).tolist()
    each = {f"probability of {label}": probabilities[:, i].tolist() for i, label in enumerate(known)}
    return {"prediction": [known[i] for i in best], **each}
