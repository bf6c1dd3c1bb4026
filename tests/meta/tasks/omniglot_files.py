"""Archives as Omniglot's, with made-up alphabets."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpo.meta.tasks import omniglot_drawings
from hpo.meta.tasks.omniglot_archives import CHECKSUMS
from hpo.meta.tasks.omniglot_drawings import DRAWERS

Alphabets = Mapping[str, int]  # name -> number of characters
BACKGROUND = {"Aleph": 7, "Beth": 8, "Gimel": 9, "Daleth": 6, "He": 6}  # the last three are divided into train


def png(ink: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> bytes:
    """Black on white, one bit a pixel."""
    buffer = io.BytesIO()
    Image.fromarray(~ink).save(buffer, format="PNG")
    return buffer.getvalue()


def strokes(rng: np.random.Generator) -> bytes:
    """One to three strokes of up to nine points in the square that drawings are in."""
    lines = ["START"]
    for _ in range(rng.integers(1, 4)):
        points = rng.uniform(0, 105, (rng.integers(1, 10), 2))
        lines += [f"{x:.6f},{-y:.6f},{t}" for t, (x, y) in enumerate(points)] + ["BREAK"]
    return "\n".join([*lines, ""]).encode()


def write_archive(path: Path, alphabets: Alphabets) -> None:
    """Images or strokes, as the name of the archive says; a drawing depends on its character's name and drawer only."""
    is_images = path.name.startswith("images")
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(
            f"__MACOSX/{path.stem}/Aleph/character01/0001_01.{'png' if is_images else 'txt'}", b"no drawing"
        )
        for alphabet, characters in alphabets.items():
            for character in range(1, characters + 1):
                for drawer in range(1, DRAWERS + 1):
                    name = f"{alphabet}/character{character:02}/0001_{drawer:02}"
                    rng = np.random.default_rng(list(name.encode()))
                    content = png(rng.random((105, 105)) < 0.5) if is_images else strokes(rng)
                    opened.writestr(f"{path.stem}/{name}.{'png' if is_images else 'txt'}", content)


def use(monkeypatch: pytest.MonkeyPatch, folder: Path, archives: Mapping[str, Alphabets]) -> None:
    """Writes the archives into ``folder``, where they are found as if they were the published ones."""
    for name, alphabets in archives.items():
        path = folder / "data/omniglot" / name
        write_archive(path, alphabets)
        monkeypatch.setitem(CHECKSUMS, name, f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    monkeypatch.setenv("HPO_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("HPO_CACHE_DIR", str(folder / "cache"))
    forget()


def forget() -> None:
    """As in a new process."""
    omniglot_drawings.drawings.cache_clear()
