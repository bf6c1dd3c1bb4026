"""A user's table, from a CSV, TSV or Parquet file; what is wrong with it is said with row and column."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hpo.config.problems import hint
from hpo.errors import InputError
from hpo.meta.tasks.data_files import VARIABLE, data_folder
from hpo.meta.tasks.tables.from_csv import read_csv
from hpo.meta.tasks.tables.from_parquet import read_parquet
from hpo.meta.tasks.tables.table import Table

__all__ = ["Table", "read_table"]

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
    try:
        table = _READERS[path.suffix.lower()](path)
    except KeyError:
        raise InputError(f"tasks.file: found {path}, expected a file *.csv, *.tsv or *.parquet") from None
    except OSError as error:
        raise InputError(f"tasks.file: {path} cannot be read: {error.strerror or error}") from None
    for option, column in columns:
        if column not in table.columns:
            raise InputError(f"tasks.{option}: {path} has no column {column!r}{hint(column, table.columns)}")
    if not len(table):
        raise InputError(f"tasks.file: {path} has no rows below its header")
    return replace(table, columns={column: table.columns[column] for _, column in columns})


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
