"""Markdown that shows what others wrote as it is: a name or a reason is never markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# Marks of emphasis, code, links, images, HTML, tables and entities, and what GitHub's flavour turns into links.
_MARKS = re.compile(r"[\\`*_\[\]<>#|~!&:@$]|(?<=www)\.", re.IGNORECASE)


def escape(text: str) -> str:
    """``text`` for inside a line; newlines and control characters become spaces."""
    return _MARKS.sub(r"\\\g<0>", _one_line(text))


def code(text: str) -> str:
    """``text`` as a code span in a cell of a table: there, and only there, a pipe is escaped."""
    shown = _one_line(text).replace("|", "\\|")
    fence = _longer_than_runs_in(shown, "`")
    padding = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{padding}{shown or ' '}{padding}{fence}"


def fenced(text: str, language: str = "") -> str:
    """``text`` as a block of code of its own."""
    fence = "`" * max(3, len(_longer_than_runs_in(text, "`")))
    return f"{fence}{language}\n{_printable(text.rstrip())}\n{fence}"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], rule: str = ":--") -> str:
    """A table of cells that are Markdown already; ``rule`` aligns them: ``:--`` to the left, ``:-:`` in the middle."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, [rule] * len(heading), *rows))


def _longer_than_runs_in(text: str, mark: str) -> str:
    return mark * (1 + max((len(run) for run in re.findall(f"{mark}+", text)), default=0))


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text.expandtabs(4))
