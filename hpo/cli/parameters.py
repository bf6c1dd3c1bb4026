"""A column for each parameter of the rows' trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpo.cli import text
from hpo.cli.output import Column


def parameter_columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """In the order in which they are met; rows hold ``parameters``."""
    names = list(dict.fromkeys(name for row in rows for name in row["parameters"]))
    pairs = zip(names, text.short_names(names), strict=True)
    return [_column(name, short) for name, short in pairs]


def _column(name: str, heading: str) -> Column:
    def cell(row: Mapping[str, Any]) -> str:
        return text.scalar(row["parameters"][name]) if name in row["parameters"] else ""  # inactive in this trial

    return Column(heading, cell, right=True)
