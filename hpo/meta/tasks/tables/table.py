"""Columns of a file that know where in it they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.config.wording import shown
from hpo.errors import InputError


@dataclass(frozen=True)
class Table:
    """Cells are what the file holds: text in a CSV file, values of any type, None among them, in a Parquet file.

    columns  name -> cells, all of one length
    places   of every row: the line that it begins in, or its number in a file without lines; from 1
    """

    path: Path
    columns: Mapping[str, Sequence[object]]
    unit: str
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def place(self, row: int) -> str:
        """``line 7``, or ``row 7`` in a file without lines."""
        return f"{self.unit} {self.places[row]}"

    def bad(self, row: int, column: str, expected: str, found: str | None = None) -> InputError:
        """What to raise where a cell is not what was expected."""
        cell = self.columns[column][row]
        found = found or ("nothing" if cell is None or cell == "" else shown(cell))
        return InputError(f"{self.path}, {self.place(row)}, column {column!r}: found {found}, expected {expected}")
