"""Words as language_id reads them: letters without diacritics."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpo.meta.own_tasks.base import OwnTask
from hpo.meta.own_tasks.labelled import labelled_task
from hpo.meta.tasks.tables import Table, require_columns
from hpo.meta.tasks.tables.cells import texts
from hpo.meta.tasks.word_lists import tokens_of
from hpo.records import Record


class LetterReader(Record):
    """Columns ``text`` and ``label``."""

    type: Literal["letters"] = "letters"

    def task(self, support: Table, outputs: int) -> OwnTask:
        """See OwnTask; ``outputs``: classes that the learner tells apart."""
        return labelled_task(support, "label", outputs, _sequences)


def _sequences(table: Table) -> list[NDArray[Any]]:
    require_columns(table, ["text"])
    found = [tokens_of(text) for text in texts(table, "text")]
    for row, tokens in enumerate(found):
        if not len(tokens):
            raise table.bad(row, "text", "at least one letter from a to z, with or without diacritics")
    return [np.asarray(tokens) for tokens in found]
