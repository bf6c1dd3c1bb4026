"""Text that a terminal shows and does not obey: names, reasons and messages of drivers hold what others wrote."""

from __future__ import annotations

import re
from typing import IO

import click

_UNUSUAL = re.compile(r"[^\x20-\x7e]")


def printable(value: str) -> str:
    """On one line, without control characters."""
    return _UNUSUAL.sub(lambda char: char[0] if char[0].isprintable() else _escaped(char[0]), value)


def say(message: str, *, err: bool = False, file: IO[str] | None = None) -> None:
    """Prints lines for a person; newlines are the only control characters that pass."""
    click.echo("\n".join(map(printable, message.split("\n"))), err=err, file=file)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
