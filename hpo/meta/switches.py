"""What the environment switches off."""

from __future__ import annotations

import os


def is_off(variable: str) -> bool:
    """Whether this environment variable says so."""
    return os.environ.get(variable, "").lower() in ("off", "0", "no", "false")
