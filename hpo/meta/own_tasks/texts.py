"""Texts as the text family reads them, by the vocabulary of its meta-training."""

from __future__ import annotations

from typing import Any, Literal

from numpy.typing import NDArray

from hpo.meta.own_tasks.base import OwnTask
from hpo.meta.own_tasks.labelled import labelled_task
from hpo.meta.tasks.tables import Table, require_columns
from hpo.meta.tasks.tables.cells import texts
from hpo.meta.tasks.tokens import Vocabulary
from hpo.records import Record


class TextReader(Record):
    """``tokens``: those that are told apart, in the order of their codes."""

    type: Literal["text"] = "text"
    text_column: str
    label_column: str
    level: Literal["word", "character"]
    max_length: int
    tokens: tuple[str, ...]

    def task(self, support: Table, outputs: int) -> OwnTask:
        """See OwnTask; ``outputs``: classes that the learner tells apart."""
        vocabulary = Vocabulary(self.tokens, self.level)

        def read(table: Table) -> list[NDArray[Any]]:
            require_columns(table, [self.text_column])
            return [vocabulary.encode(text, self.max_length) for text in texts(table, self.text_column)]

        return labelled_task(support, self.label_column, outputs, read)
