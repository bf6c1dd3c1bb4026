"""Files that a command writes: what is there is kept unless asked, and nobody reads half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hpo.errors import InputError


def require_free(path: Path, option: str, force: bool) -> None:
    """Raises InputError where ``path`` exists, unless ``force``; ``option`` is what names it."""
    if not force and _exists(path):
        raise InputError(f"{path} exists: give another name with {option}, or --force to replace it")


def write_file(target: Path, content: bytes) -> None:
    """In one step: no other program reads half a file, and a full disk leaves the old one. Raises InputError."""
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        raise InputError(f"{target} cannot be written: {getattr(error, 'strerror', error)}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise InputError(f"{target} cannot be written: {error.strerror}") from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no file can have this name: writing it says why
        return False


def _umask() -> int:
    """Python can only ask by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
