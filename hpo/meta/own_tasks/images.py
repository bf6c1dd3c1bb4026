"""Drawings as Omniglot's are read: image files, row by row."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpo.meta.own_tasks.base import OwnTask
from hpo.meta.own_tasks.labelled import labelled_task
from hpo.meta.tasks.tables import Table, require_columns
from hpo.meta.tasks.tables.cells import texts
from hpo.records import Record


class ImageReader(Record):
    """Columns ``image``, a file beside the table or an absolute path, and ``label``."""

    type: Literal["image"] = "image"

    def task(self, support: Table, outputs: int) -> OwnTask:
        """See OwnTask; ``outputs``: classes that the learner tells apart."""
        return labelled_task(support, "label", outputs, _rows)


def _rows(table: Table) -> list[NDArray[Any]]:
    require_columns(table, ["image"])
    return [_image(table, row, name) for row, name in enumerate(texts(table, "image"))]


def _image(table: Table, row: int, name: str) -> NDArray[Any]:
    from hpo.meta.tasks.omniglot_images import image

    try:
        pixels = image((table.path.parent / name).read_bytes())
    except OSError as error:  # no such file, or no image
        reason = error.strerror or "this is no image"
        raise table.bad(row, "image", "a file with a drawing, dark on light", f"{name!r} ({reason})") from None
    return pixels * np.float32(1 / 255)
