"""What tests of several executors look at."""

from __future__ import annotations

from contextlib import suppress

import psutil


def command_line(process: psutil.Process) -> list[str]:
    """Empty where the process has ended meanwhile."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []
