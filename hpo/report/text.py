"""Numbers as people read them."""

from __future__ import annotations

import math

from hpo.records import Estimate


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
