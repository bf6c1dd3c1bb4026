"""Data sets that are too large for this repository; tests on them are skipped where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("HPO_DATA_DIR") or Path(__file__).parents[2] / "shared/data")


def folder_with(*names: str) -> Path:
    """The data folder, where it has all of these files; else the test is skipped."""
    if missing := [name for name in names if not (FOLDER / name).is_file()]:
        pytest.skip(f"{FOLDER} has no {missing[0]}: set HPO_DATA_DIR to the folder that has")
    return FOLDER
