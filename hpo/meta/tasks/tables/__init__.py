"""A user's table, from a CSV, TSV or Parquet file; what is wrong with it is said with row and column."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hpo.config.problems import hint
from hpo.errors import InputError
from hpo.meta.tasks.data_files import VARIABLE, data_folder
from hpo.meta.tasks.tables.from_csv import read_csv
from hpo.meta.tasks.tables.from_parquet import read_parquet
from hpo.meta.tasks.tables.table import Table

__all__ = ["Table", "read_file", "read_table", "require_columns"]

_READERS = {".csv": read_csv, ".tsv": read_csv, ".parquet": read_parquet, ".pq": read_parquet}


def read_table(file: str, columns: Mapping[str, str]) -> Table:
    """The columns that ``columns`` names, each by the option of ``tasks`` that does (``label_column``: ``label``).

    A process reads a file once, until it changes. Raises InputError where that fails, where a column is missing or
    where there are no rows.
    """
    path = _located(file)
    status = path.stat()
    return _read(path, tuple(columns.items()), status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=2)
def _read(path: Path, columns: tuple[tuple[str, str], ...], changed: int, size: int) -> Table:
    table = read_file(path, "tasks.file: ")
    for option, column in columns:
        require_columns(table, [column], f"tasks.{option}: ")
    return replace(table, columns={column: table.columns[column] for _, column in columns})


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


def require_columns(table: Table, columns: Sequence[str], named_by: str = "") -> None:
    """Raises InputError, which begins with ``named_by``, where one is missing."""
    for column in columns:
        if column not in table.columns:
            raise InputError(f"{named_by}{table.path} has no column {column!r}{hint(column, table.columns)}")


def _located(file: str) -> Path:
    named = Path(file).expanduser()
    places = [Path.cwd(), data_folder()]
    candidates = list(dict.fromkeys(folder / named for folder in places if folder is not None))
    for path in candidates:
        if path.exists():
            return path
    looked = " or ".join(map(str, candidates))
    raise InputError(
        f"tasks.file: there is no {looked}: a relative path is looked for in the working directory, then in {VARIABLE}"
    )
