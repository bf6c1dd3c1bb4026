"""Compiles the C++ sources of this folder once and keeps the library in the user's cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

SOURCES = Path(__file__).parent
_FLAGS = (
    *("-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", "-Wall", "-Wextra"),
    # Not -ffast-math: linked into a library it changes how the whole process treats denormal numbers.
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
)
_AVX2 = ("-mavx2", "-mfma")
INSTRUCTION_SETS: dict[str, tuple[str, ...]] = {
    "avx512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", *_AVX2),
    "avx2": _AVX2,
    "generic": (),
}
_COMPILE_SECONDS = 600
_LAST_LINES = 20


class BuildError(RuntimeError):
    """The library cannot be built or must not be loaded; the message says why."""


def instruction_set() -> str:
    """The key of INSTRUCTION_SETS that suits this processor, as far as torch uses it."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return "generic"
    capability = torch.backends.cpu.get_cpu_capability()
    if capability.startswith("AVX512"):
        return "avx512"
    return "avx2" if capability == "AVX2" else "generic"


def build(instructions: str | None = None) -> Path:
    """The compiled library for ``instructions`` (default: this processor's), compiled if it is not in the cache.

    Raises BuildError: no compiler, a failing one, or a cache folder that cannot be used or is not the user's own.
    """
    compiler, flags, library = _plan(instructions)
    folder = library.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(folder)
        with _locked(folder / "lock"):
            if not library.exists():
                _compile(compiler, flags, library)
        _require_own(library)
    except OSError as error:
        raise BuildError(f"cannot use the cache folder {folder}: {error}") from error
    return library


def built(instructions: str | None = None) -> bool:
    """Whether it is in the cache; raises BuildError without a compiler, whose version the cache depends on."""
    return _plan(instructions)[2].exists()


def compiler() -> str:
    """The command that compiles it; raises BuildError without one."""
    return shlex.join(_compiler())


def _plan(instructions: str | None) -> tuple[list[str], tuple[str, ...], Path]:
    """The compiler, its flags, and where the library is to be."""
    flags = (*_FLAGS, *INSTRUCTION_SETS[instructions or instruction_set()])
    compiler = _compiler()
    return compiler, flags, _cache_folder() / _key(compiler, flags) / "accelerator.so"


def _compiler() -> list[str]:
    """The command of the first compiler found."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        words = shlex.split(name or "")
        if words and shutil.which(words[0]):
            return words
    raise BuildError("no C++ compiler: set CXX, or install g++ or clang++")


def _cache_folder() -> Path:
    chosen = os.environ.get("HPO_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser() / "accelerator"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hpo" / "accelerator"


def _key(compiler: list[str], flags: tuple[str, ...]) -> str:
    """Changes with everything that the library depends on."""
    digest = hashlib.sha256()
    for part in (*compiler, *flags, _run([*compiler, "--version"])):
        digest.update(part.encode() + b"\0")
    for source in sorted([*SOURCES.glob("*.h"), *SOURCES.glob("*.cpp")]):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def _compile(compiler: list[str], flags: tuple[str, ...], library: Path) -> None:
    """Into a temporary file first: a half-written library never has the final name."""
    handle, temporary = tempfile.mkstemp(prefix="building-", suffix=".so", dir=library.parent)
    os.close(handle)
    try:
        _run([*compiler, *flags, str(SOURCES / "entry.cpp"), "-o", temporary])
        os.replace(temporary, library)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _run(command: list[str]) -> str:
    """What the command prints; raises BuildError with its last lines if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]} does not run: {error}") from error
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-_LAST_LINES:])
        raise BuildError(f"{command[0]} failed with exit status {done.returncode}:\n{last}")
    return done.stdout


def _require_own(path: Path) -> None:
    """Whoever can write the library can run code in this process."""
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise BuildError(f"{path} belongs to another user or can be written by one")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; the system takes it from a process that dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
