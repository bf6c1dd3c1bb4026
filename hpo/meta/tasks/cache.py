"""Arrays that took long to make, kept in files between processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def cache_folder() -> Path | None:
    """Where they are kept: in HPO_CACHE_DIR, as whatever hpo caches; None without a home."""
    if chosen := os.environ.get("HPO_CACHE_DIR"):
        return Path(chosen).expanduser()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpo"
    except RuntimeError:
        return None


def read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """None where there is no such file or it is damaged: it is then made anew."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def write_arrays(path: Path, **arrays: Any) -> None:
    """In one step, so that no other process reads half a file; a cache that cannot be written is done without."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez_compressed(file, **arrays)
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
