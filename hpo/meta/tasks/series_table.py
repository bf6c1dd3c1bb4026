"""A user's time series, from a file in long format: one row a value."""

from __future__ import annotations

from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from hpo.config.tasks import SeriesConfig
from hpo.errors import InputError
from hpo.meta.tasks.tables import Table, read_table
from hpo.meta.tasks.tables.cells import names, numbers, times

Values = NDArray[np.float64]


def read_series(config: SeriesConfig) -> dict[str, Values]:
    """Each series' values in the order of time, whatever that of the rows is; neighbours count as equally far apart.

    Raises InputError where the file is bad, where a time is there twice or where a series is too short for ``config``.
    """
    options = ("series_column", "time_column", "value_column")
    table = read_table(config.file, {option: getattr(config, option) for option in options})
    names_of, times_of = names(table, config.series_column), times(table, config.time_column)
    values = numbers(table, config.value_column)
    order = sorted(range(len(table)), key=lambda row: (names_of[row], times_of[row]))
    rows_of = {name: list(rows) for name, rows in groupby(order, key=lambda row: names_of[row])}
    for name, rows in rows_of.items():
        _check_times(table, config.time_column, name, rows, times_of)
        _check_length(table, config, name, rows)
    return {name: values[rows] for name, rows in rows_of.items()}


def shortest(config: SeriesConfig) -> int:
    """Values that a series needs, for the support windows and then the query windows, each one value after another."""
    return 2 * (config.window + config.horizon) + (config.shots - 1) + (config.queries - 1)


def _check_times(table: Table, column: str, name: str, rows: list[int], times_of: list[float]) -> None:
    for earlier, later in pairwise(rows):
        if times_of[earlier] == times_of[later]:
            raise table.bad(later, column, f"a time that the series {name!r} does not have in {table.place(earlier)}")


def _check_length(table: Table, config: SeriesConfig, name: str, rows: list[int]) -> None:
    if len(rows) < (needed := shortest(config)):
        raise InputError(
            f"{table.path}: the series {name!r} has {len(rows)} values (the first in {table.place(rows[0])}), expected"
            f" at least {needed}: 2 * (tasks.window + tasks.horizon) + tasks.shots + tasks.queries - 2"
        )
