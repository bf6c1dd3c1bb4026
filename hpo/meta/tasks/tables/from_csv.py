"""Tables from text files: values separated by commas, or by tabs in a file *.tsv.

By Python's csv module: it knows in which line a record begins, which pyarrow's reader does not say.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from hpo.errors import InputError
from hpo.meta.tasks.tables.table import Table

_Record = tuple[int, list[str]]  # the line that it begins in, its fields


def read_csv(path: Path) -> Table:
    """All columns; raises InputError where it is no such file, OSError where it cannot be read."""
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    records = _records(path, _decoded(path, separator), separator)
    first, header = next(records, (1, []))
    _check_header(path, header, separator)
    rows = list(_of_width(path, records, len(header), first))
    cells = zip(*(fields for _, fields in rows), strict=True) if rows else ([] for _ in header)
    return Table(path, dict(zip(header, cells, strict=True)), "line", [line for line, _ in rows])


def _decoded(path: Path, separator: str) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")  # with or without the mark that some programs begin a file with
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = _column_at(data[: error.start].decode("utf-8-sig", "replace"), separator)
        raise InputError(
            f"{path}, line {line}{column}: found the byte 0x{data[error.start]:02x}, expected text in UTF-8:"
            " save the file in that encoding"
        ) from None


def _column_at(before: str, separator: str) -> str:
    """The column in which a text ends; nothing where that is the header."""
    header, *rows = csv.reader(io.StringIO(before, newline=""), delimiter=separator) if before else [[]]
    if not rows or not 0 < len(rows[-1]) <= len(header) or before.endswith("\n"):
        return ""
    return f", column {header[len(rows[-1]) - 1]!r}"


def _records(path: Path, text: str, separator: str) -> Iterator[_Record]:
    """Without blank lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    begins = 1
    try:
        for fields in reader:
            if fields:
                yield begins, fields
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {begins}: this is no valid CSV: {error}") from None


def _check_header(path: Path, header: list[str], separator: str) -> None:
    if not header:
        raise InputError(f"{path}: this file is empty, expected names of columns in its first line")
    others = [other for other in (";", "\t", "|", ",") if other != separator and other in header[0]]
    if len(header) == 1 and others:
        raise InputError(f"{path}, line 1: found columns separated by {others[0]!r}, expected {separator!r}")
    if repeated := [name for name in header if header.count(name) > 1]:
        raise InputError(f"{path}, line 1: found two columns {repeated[0]!r}, expected different names")


def _of_width(path: Path, records: Iterator[_Record], width: int, first: int) -> Iterator[_Record]:
    for line, fields in records:
        if len(fields) != width:
            raise InputError(f"{path}, line {line}: found {len(fields)} fields, expected {width} as in line {first}")
        yield line, fields
