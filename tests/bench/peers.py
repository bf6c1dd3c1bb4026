"""Gets the peers into a cache folder, each in its own, so that the running environment stays as it is.

They are imported from there on top of the running torch, so that every contender has the same one. peers.txt lists the
peers that need nothing else; ``NAME.txt`` lists one peer and what it needs beside hpo's own environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

REQUIREMENTS = Path(__file__).with_name("peers.txt")
_OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-deps")


class Missing(Exception):
    """A peer cannot be had; says why."""


def folder(name: str) -> Path:
    """Where the peer ``name`` can be imported from; downloads it once."""
    if not home(name).exists():
        _get(_wanted(name), home(name), _install if _list(name).exists() else _unpack)
    return home(name)


def home(name: str) -> Path:
    """:func:`folder`, whether or not it is there."""
    return _cache() / _wanted(name)[0].split()[0]


def load(name: str, module: str) -> ModuleType:
    """``module`` of the peer ``name``, which from then on can be imported in this process, after all else."""
    if str(folder(name)) not in sys.path:
        sys.path.append(str(folder(name)))
    try:
        return import_module(module)
    except ImportError as error:
        raise Missing(str(error)) from error


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpo" / "bench-peers"


def _wanted(name: str) -> list[str]:
    """Lines for pip, of which the first names the peer."""
    own = _list(name).exists()
    lines = (_list(name) if own else REQUIREMENTS).read_text().splitlines()
    return [line for line in lines if not line.startswith("#") and (own or line.startswith(f"{name}=="))]


def _list(name: str) -> Path:
    return REQUIREMENTS.with_name(f"{name}.txt")


def _get(wanted: list[str], to: Path, made: Callable[[Path], Path]) -> None:
    """Appears in one step, so that a run that was cut off leaves nothing half done."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent) as scratch:
            (Path(scratch) / "requirements.txt").write_text("\n".join(wanted) + "\n")
            made(Path(scratch)).rename(to)
    except (OSError, tarfile.TarError, subprocess.SubprocessError) as error:
        raise Missing(_reason(error)) from error


def _install(scratch: Path) -> Path:
    """A folder with all that the peer's own list names, which is complete."""
    installed = scratch / "installed"
    _pip("install", *_OPTIONS, "--target", str(installed), "-r", str(scratch / "requirements.txt"))
    return installed


def _unpack(scratch: Path) -> Path:
    """The folder to import from: of a wheel what it installs, of a source distribution its root, unbuilt."""
    _pip("download", *_OPTIONS, "--dest", str(scratch), "-r", str(scratch / "requirements.txt"))
    wheels, sources = list(scratch.glob("*.whl")), list(scratch.glob("*.tar.gz"))
    unpacked = scratch / "unpacked"
    if wheels:
        _pip("install", *_OPTIONS, "--no-index", "--target", str(unpacked), str(wheels[0]))
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
