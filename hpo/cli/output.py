"""Rows on standard output: a table for people, JSON, YAML or CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from hpo.cli.terminal import printable, say

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]
_UNLIMITED = 100_000  # characters in a line
_BEYOND_ASCII = re.compile(r"[^\n\x20-\x7e]")
_MIN_FOLDED = 20  # characters: a text that folds more often is hard to read


@dataclass(frozen=True)
class Column:
    """``cell`` renders a row for people; numbers go to the right."""

    heading: str
    cell: Callable[[Any], str]
    right: bool = False


def show(rows: Sequence[Row], columns: Sequence[Column], form: str, empty: str = "") -> None:
    """Prints ``rows`` in the format of the verb's ``--format``; ``empty`` tells a person why there are none."""
    if form != "table":
        _show_data(as_data(rows, form))
    elif not rows:
        say(empty, err=True)
    elif sys.stdout.isatty():
        _show_in_terminal(rows, columns)
    else:
        say(plain_table(rows, columns))


def _show_data(text: str) -> None:
    """As it is for a program; CSV alone has no escapes of its own for a terminal."""
    if sys.stdout.isatty():
        say(text.removesuffix("\n"))
    else:
        click.echo(text, nl=False, color=True)  # else click takes out what looks like a colour


def as_data(rows: Sequence[Row], form: str) -> str:
    """``rows`` as ``json``, ``yaml`` or ``csv``, with a newline at the end."""
    if form == "json":
        return to_json(list(rows)) + "\n"
    if form == "yaml":
        return to_yaml([dict(row) for row in rows])
    return _to_csv(rows)


def to_json(value: Any) -> str:
    """Valid JSON: it has no infinity and no NaN, so they are null. What a terminal would obey is escaped."""
    written = json.dumps(_finite(value), indent=2, ensure_ascii=False, default=str)
    return _BEYOND_ASCII.sub(lambda char: char[0] if char[0].isprintable() else json.dumps(char[0])[1:-1], written)


def to_yaml(value: Any) -> str:
    """YAML in the order of the keys."""
    import yaml  # here: not every verb needs it

    return yaml.safe_dump(json.loads(to_json(value)), sort_keys=False, allow_unicode=True, width=120)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _UnixLines(io.StringIO):
    """Python quotes a carriage return only where rows end with one."""

    def write(self, row: str) -> int:
        return super().write(row.removesuffix("\r\n") + "\n")


def _to_csv(rows: Sequence[Row]) -> str:
    flat = [_flat(row) for row in rows]
    heading = list(dict.fromkeys(key for row in flat for key in row))  # conditional parameters: not every row has them
    text = _UnixLines()
    writer = csv.DictWriter(text, heading)
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: Row, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.dumps(value) if isinstance(value, list | tuple | bool) else value
    return flat


def plain_table(rows: Sequence[Any], columns: Sequence[Column]) -> str:
    """Aligned text without colours or frames."""
    lines = [[column.heading for column in columns], *_cells(rows, columns)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    )


def _show_in_terminal(rows: Sequence[Any], columns: Sequence[Column]) -> None:
    """Where the terminal is too narrow the widest text folds; the plain table where that is not enough."""
    from rich.console import Console

    console = Console()
    table = _framed(rows, columns)
    excess = console.measure(table, options=console.options.update(width=_UNLIMITED)).maximum - console.width
    if excess > 0:
        lines = [[column.heading for column in columns], *_cells(rows, columns)]
        widths = [0 if column.right else max(len(line[i]) for line in lines) for i, column in enumerate(columns)]
        left = max(widths) - excess
        if left < _MIN_FOLDED:
            say(plain_table(rows, columns))
            return
        widest = table.columns[widths.index(max(widths))]
        widest.width, widest.no_wrap = left, False
    console.print(table)


def _framed(rows: Sequence[Any], columns: Sequence[Column]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        justify: Literal["right", "left"] = "right" if column.right else "left"
        table.add_column(column.heading, justify=justify, no_wrap=True, overflow="fold")
    for cells in _cells(rows, columns):
        table.add_row(*(Text(cell) for cell in cells))  # Text, not str: a name may hold markup characters
    return table


def _cells(rows: Sequence[Any], columns: Sequence[Column]) -> list[list[str]]:
    return [[printable(column.cell(row)) for column in columns] for row in rows]
