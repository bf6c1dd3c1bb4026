"""A user's table, from a CSV, TSV or Parquet file; what is wrong with it is said with row and column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hpo.config.data_files import located
from hpo.config.problems import hint
from hpo.errors import InputError
from hpo.meta.tasks.tables.from_csv import read_csv
from hpo.meta.tasks.tables.from_parquet import read_parquet
from hpo.meta.tasks.tables.table import Table

__all__ = ["Table", "read_file", "read_table", "require_columns"]

_READERS = {".csv": read_csv, ".tsv": read_csv, ".parquet": read_parquet, ".pq": read_parquet}


def read_table(file: str, columns: Mapping[str, str]) -> Table:
    """A file with the columns that ``columns`` names, each by the option of ``tasks`` that does.

    As ``{"label_column": "label"}``. Raises InputError where the file cannot be read, where a column is missing or
    where there are no rows.
    """
    table = read_file(located(file), "tasks.file: ")
    for option, column in columns.items():
        require_columns(table, [column], f"tasks.{option}: ")
    return table


def read_file(path: Path, named_by: str = "") -> Table:
    """All columns and at least one row; raises InputError, which begins with ``named_by``."""
    try:
        table = _READERS[path.suffix.lower()](path)
    except KeyError:
        raise InputError(f"{named_by}found {path}, expected a file *.csv, *.tsv or *.parquet") from None
    except OSError as error:
        raise InputError(f"{named_by}{path} cannot be read: {error.strerror or error}") from None
    if not len(table):
        raise InputError(f"{named_by}{path} has no rows below its header")
    return table


def require_columns(table: Table, columns: Iterable[str], named_by: str = "") -> None:
    """Raises InputError, which begins with ``named_by``, where one is missing."""
    for column in columns:
        if column not in table.columns:
            raise InputError(f"{named_by}{table.path} has no column {column!r}{hint(column, table.columns)}")
