"""Values as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.cli.terminal import printable
from hpo.report.text import after, duration, estimate, interval, memory, of, of_new_seeds

__all__ = [
    "after",
    "duration",
    "estimate",
    "interval",
    "memory",
    "number",
    "of",
    "of_new_seeds",
    "one_line",
    "params",
    "printable",
    "scalar",
    "short_names",
    "warm_started",
]


def number(value: float) -> str:
    """Four significant digits: ``0.00213``, ``1.234e-05``; whole numbers as they are, ``123457`` without decimals."""
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def params(values: Mapping[str, Any]) -> str:
    """``hidden_size=64 inner_lr=0.1``: without the section where that leaves no two names alike."""
    return " ".join(f"{name}={scalar(value)}" for name, value in zip(short_names(values), values.values(), strict=True))


def short_names(names: Mapping[str, Any] | list[str]) -> list[str]:
    """Dotted paths' last parts, or the whole path where another one ends alike."""
    last = [name.rpartition(".")[2] for name in names]
    return [short if last.count(short) == 1 else name for name, short in zip(names, last, strict=True)]


def scalar(value: Any) -> str:
    """A parameter's value; ``true`` and ``null`` as in YAML."""
    if isinstance(value, float):
        return number(value)
    return value if isinstance(value, str) else json.dumps(value)


def one_line(value: str, width: int = 100) -> str:
    """The first line, cut where it is too long."""
    first = value.strip().partition("\n")[0]
    return printable(first if len(first) <= width else first[: width - 1] + "…")


def warm_started(names: Sequence[str]) -> str:
    """Where else a study learns from."""
    return f"warm-started from {', '.join(names)}"
