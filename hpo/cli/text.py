"""Values as people read them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from hpo.records import Estimate


def number(value: float) -> str:
    """Four significant digits: ``0.00213``, ``1.234e-05``; whole numbers as they are."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def estimate(mean: float | None, sem: float | None = None) -> str:
    """``0.812 ± 0.012``: as many decimals as the standard error's second digit; ``-`` where there is none."""
    if mean is None:
        return "-"
    if sem is None or not (math.isfinite(sem) and math.isfinite(mean)):
        return f"{mean:.4f}" if math.isfinite(mean) else str(mean)
    decimals = 4 if sem == 0 else min(6, max(0, 1 - math.floor(math.log10(sem))))
    return f"{mean:.{decimals}f} ± {sem:.{decimals}f}"


def of(found: Estimate | None) -> str:
    """The estimate as text."""
    return estimate(found.mean, found.sem) if found is not None else "-"


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


def duration(seconds: float | None) -> str:
    """``34 s``, ``2 min 05 s``, ``1 h 02 min``, ``3 d 4 h``."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def memory(size: int | None) -> str:
    """``734 MiB``, ``1.2 GiB``."""
    if size is None:
        return "-"
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.1f} GiB"


def printable(value: str) -> str:
    """Without control characters: a study's name or a reason is not to steer the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in value)


def one_line(value: str, width: int = 100) -> str:
    """The first line, cut where it is too long."""
    first = value.strip().partition("\n")[0]
    return printable(first if len(first) <= width else first[: width - 1] + "…")
