"""What the driver's own program says of GPUs, without importing torch."""

from __future__ import annotations

import shutil
import subprocess

TIMEOUT_S = 20.0  # a driver that wakes up many GPUs takes seconds


def nvidia_smi(*arguments: str) -> list[str]:
    """Its lines; none without a driver, or where it fails."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []


def mebibytes(cell: str) -> int | None:
    """Bytes; None of ``[N/A]``."""
    return int(cell) * 2**20 if cell.isdigit() else None
