"""Numbers as people read them."""

from __future__ import annotations

import math

from hpo.records import Estimate

_WITHIN_90 = 1.6449  # standard deviations around a normal's mean that hold 90% of it


def estimate(mean: float | None, sem: float | None = None) -> str:
    """``0.812 ± 0.012``: as many decimals as the standard error's second digit; ``-`` where there is none."""
    if mean is None:
        return "-"
    if sem is None or not (math.isfinite(sem) and math.isfinite(mean)):
        return f"{mean:.4f}" if math.isfinite(mean) else str(mean)
    decimals = _decimals(sem)
    return f"{mean:.{decimals}f} ± {sem:.{decimals}f}"


def interval(mean: float | None, deviation: float | None) -> str:
    """``0.812 [0.792, 0.832]``: a normal's mean and what holds 90% of it."""
    if mean is None or deviation is None or not (math.isfinite(mean) and math.isfinite(deviation)):
        return estimate(mean)
    decimals, half = _decimals(deviation), _WITHIN_90 * deviation
    return f"{mean:.{decimals}f} [{mean - half:.{decimals}f}, {mean + half:.{decimals}f}]"


def of_new_seeds(mean: float | None, sem: float | None, seeds: int, failed: int) -> str:
    """``0.812 ± 0.012 over 3 new seeds``: of a config that was confirmed."""
    if mean is None:
        return f"failed with all {failed} new seeds"
    counted = f"{estimate(mean, sem)} over {seeds} new seed{'s' if seeds > 1 else ''}"
    return f"{counted}, failed with {failed}" if failed else counted


def after(inner_steps: int | None) -> str:
    """`` after 5 inner steps``, to follow a value; nothing where it follows from the config."""
    return "" if inner_steps is None else f" after {inner_steps} inner step{'s' if inner_steps > 1 else ''}"


def _decimals(deviation: float) -> int:
    return 4 if deviation == 0 else min(6, max(0, 1 - math.floor(math.log10(deviation))))


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
