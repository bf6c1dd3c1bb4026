"""Gets the peers of peers.txt into a cache folder, each in its own, so that the running environment stays as it is.

They are imported from there on top of the running torch, so that every contender has the same one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("peers.txt")


class Missing(Exception):
    """A peer cannot be had; says why."""


def folder(name: str) -> Path:
    """Where the peer ``name`` can be imported from; downloads it once."""
    requirement = _requirement(name)
    home = _cache() / requirement.split()[0]
    if not home.exists():
        _get(requirement, home)
    return home


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpo" / "bench-peers"


def _requirement(name: str) -> str:
    lines = REQUIREMENTS.read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{name}=="))


def _get(requirement: str, home: Path) -> None:
    """Appears in one step, so that a run that was cut off leaves nothing half done."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            (Path(scratch) / "requirement.txt").write_text(requirement + "\n")
            _unpack(Path(scratch)).rename(home)
    except (OSError, tarfile.TarError, subprocess.SubprocessError) as error:
        raise Missing(_reason(error)) from error


def _unpack(scratch: Path) -> Path:
    """The folder to import from: of a wheel what it installs, of a source distribution its root, unbuilt."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "-r", str(scratch / "requirement.txt")]
    _pip("download", "--dest", str(scratch), *options)
    wheels, sources = list(scratch.glob("*.whl")), list(scratch.glob("*.tar.gz"))
    unpacked = scratch / "unpacked"
    if wheels:
        _pip("install", "--quiet", "--no-deps", "--no-index", "--target", str(unpacked), str(wheels[0]))
        return unpacked
    with tarfile.open(sources[0]) as archive:
        archive.extractall(unpacked, filter="data")
    return next(unpacked.iterdir())


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)


def _reason(error: Exception) -> str:
    """The last line of what pip said, or the error's own text."""
    said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else ""
    return said.splitlines()[-1] if said else str(error)
