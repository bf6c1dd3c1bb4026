"""Tables from Parquet files; pyarrow, which reads them, is an optional extra, as it is large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpo.errors import InputError, MissingExtra
from hpo.meta.tasks.tables.table import Table


def read_parquet(path: Path) -> Table:
    """All columns; raises InputError where it is no such file, MissingExtra without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet", f"tasks.file: {path.name}") from error
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"{path}: this is no valid Parquet file: {error}") from None
    columns = {name: _cells(path, name, column) for name, column in zip(table.column_names, table.columns, strict=True)}
    return Table(path, columns, "row", range(1, table.num_rows + 1))


def _cells(path: Path, name: str, column: Any) -> list[object]:
    import pyarrow

    if pyarrow.types.is_timestamp(column.type):  # Python's times have microseconds
        column = column.cast(pyarrow.timestamp("us", tz=column.type.tz), safe=False)
    try:
        cells: list[object] = column.to_pylist()
    except UnicodeDecodeError:
        raise _undecodable(path, name, column) from None
    return cells


def _undecodable(path: Path, name: str, column: Any) -> InputError:
    for row, cell in enumerate(column, 1):
        try:
            cell.as_py()
        except UnicodeDecodeError as error:
            byte = f"0x{error.object[error.start]:02x}"
            return InputError(f"{path}, row {row}, column {name!r}: found the byte {byte}, expected text in UTF-8")
    raise AssertionError("every cell alone could be read")
