"""Where data is looked for beside the working directory: in the folder that the environment's HPO_DATA_DIR names."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "HPO_DATA_DIR"


def data_folder() -> Path | None:
    """None where the environment names none."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else None
