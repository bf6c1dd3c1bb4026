"""What cells mean: texts, numbers, times."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time

import numpy as np
from numpy.typing import NDArray

from hpo.meta.tasks.tables.table import Table

_TIME = "a date or time as in ISO 8601, such as 2026-01-31 or 2026-01-31T12:00"


def texts(table: Table, column: str) -> list[str]:
    """Without the spaces around them; raises InputError where one is missing, empty or no text."""
    return [_text(table, row, column, cell, "text") for row, cell in enumerate(table.columns[column])]


def names(table: Table, column: str) -> list[str]:
    """The same, for what may also be written as an integer or as true and false."""
    cells = (str(cell) if isinstance(cell, int) else cell for cell in table.columns[column])
    return [_text(table, row, column, cell, "text or an integer") for row, cell in enumerate(cells)]


def _text(table: Table, row: int, column: str, cell: object, expected: str) -> str:
    text = cell.strip() if isinstance(cell, str) else ""
    if not text:
        raise table.bad(row, column, expected)
    return text


def numbers(table: Table, column: str) -> NDArray[np.float64]:
    """Finite ones; raises InputError where a cell is none."""
    return np.array([_finite(table, row, column, cell) for row, cell in enumerate(table.columns[column])])


def _finite(table: Table, row: int, column: str, cell: object) -> float:
    number = _number(cell)
    if number is None or not math.isfinite(number):
        raise table.bad(row, column, "a finite number")
    return number


def times(table: Table, column: str) -> list[float]:
    """Numbers that grow with time: all cells are numbers, or all are dates or times; without a zone they are UTC."""
    cells = table.columns[column]
    are_numbers = _number(cells[0]) is not None
    read: Callable[[object], float | None] = _number if are_numbers else _moment
    expected = f"a number, as in {table.place(0)}" if are_numbers else _TIME
    return [_time(table, row, column, read(cell), expected) for row, cell in enumerate(cells)]


def _time(table: Table, row: int, column: str, found: float | None, expected: str) -> float:
    if found is None or math.isnan(found):
        raise table.bad(row, column, expected)
    return found


def _number(cell: object) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    try:
        return int(cell) if isinstance(cell, int) else float(cell)
    except ValueError:
        return None


def _moment(cell: object) -> float | None:
    try:
        moment = datetime.fromisoformat(cell.strip()) if isinstance(cell, str) else cell
    except ValueError:
        return None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if not isinstance(moment, datetime):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
