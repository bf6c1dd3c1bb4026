"""All drawings of an archive of Omniglot as arrays: read once a process, kept in a cache file between processes."""

from __future__ import annotations

import functools
import hashlib
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.meta.tasks import omniglot_images, omniglot_strokes
from hpo.meta.tasks.cache import cache_folder, read_arrays, write_arrays
from hpo.meta.tasks.omniglot_archives import CHECKSUMS, archive

_Arrays = dict[str, NDArray[Any]]

DRAWERS = 20  # each drew every character once


class Kind(NamedTuple):
    """How drawings are published: where, and how one file is read."""

    prefix: str
    member: re.Pattern[str]
    read: Callable[[bytes], NDArray[Any]]
    rules: str | None  # the file that says how


_MEMBER = r"(?!__MACOSX)[^/]+/([^/]+/character\d+)/\d+_\d+"
KINDS = {
    "rows": Kind("images", re.compile(rf"{_MEMBER}\.png"), omniglot_images.image, omniglot_images.__file__),
    "strokes": Kind("strokes", re.compile(rf"{_MEMBER}\.txt"), omniglot_strokes.drawing, omniglot_strokes.__file__),
}
SETS = {
    "small1": ("background_small1",),
    "small2": ("background_small2",),
    "small": ("background_small1", "background_small2"),
    "background": ("background",),
    "full": ("background", "evaluation"),
}


@dataclass(frozen=True)
class Drawings:
    """Characters, each drawn by 20 people.

    names    (characters,) alphabet/character, none twice
    steps    (characters, 20, time, features): uint8 pixels or float32 points, 0 as padding
    lengths  (characters, 20) int64: how many steps are no padding
    tested   (characters,) whether its alphabet is of the evaluation set
    """

    names: NDArray[np.str_]
    steps: NDArray[Any]
    lengths: NDArray[np.int64]
    tested: NDArray[np.bool_]


@functools.cache
def drawings(kind: str, alphabets: str) -> Drawings:
    """Those of a set of alphabets; a character that two archives hold (Greek and Latin are in both small ones) once."""
    parts = [_of_archive(kind, name) for name in SETS[alphabets]]
    names, first = np.unique(np.concatenate([part["names"] for part in parts]), return_index=True)
    time = max(part["steps"].shape[2] for part in parts)
    steps = np.concatenate([_padded(part["steps"], time) for part in parts])[first]
    lengths = np.concatenate([part["lengths"] for part in parts])[first]
    sizes = [len(part["names"]) for part in parts]
    return Drawings(names, steps, lengths, np.repeat([name == "evaluation" for name in SETS[alphabets]], sizes)[first])


def _of_archive(kind: str, name: str) -> _Arrays:
    file = f"{KINDS[kind].prefix}_{name}.zip"
    path = _cache_file(kind, file)
    arrays = read_arrays(path) if path else None
    if arrays is None or arrays.keys() != {"names", "steps", "lengths"}:
        arrays = _read(kind, archive(file))
        if path:
            write_arrays(path, **arrays)
    return arrays


def _cache_file(kind: str, file: str) -> Path | None:
    """Named by the archive's content and by the rules that it is read by; None without a home."""
    rules = b"".join(Path(source).read_bytes() for source in (__file__, KINDS[kind].rules) if source)
    key = hashlib.sha256(CHECKSUMS[file].encode() + rules).hexdigest()[:12]
    folder = cache_folder()
    return folder and folder / f"omniglot-{Path(file).stem}-{key}.npz"


def _read(kind: str, path: Path) -> _Arrays:
    """Names, steps and lengths, as Drawings has them."""
    with zipfile.ZipFile(path) as opened:
        found = (KINDS[kind].member.fullmatch(name) for name in sorted(opened.namelist()))
        members = groupby((match for match in found if match), key=lambda match: match[1])
        read = {name: [KINDS[kind].read(opened.read(match[0])) for match in matches] for name, matches in members}
    lengths = np.array([[len(steps) for steps in of] for of in read.values()])
    each = [_padded(steps[None, None], int(lengths.max()))[0, 0] for of in read.values() for steps in of]
    steps = np.stack(each).reshape(*lengths.shape, *each[0].shape)
    return {"names": np.array(list(read)), "steps": steps, "lengths": lengths}


def _padded(steps: NDArray[Any], time: int) -> NDArray[Any]:
    """steps (characters, drawings, steps, features) -> (characters, drawings, time, features)."""
    return np.pad(steps, ((0, 0), (0, 0), (0, time - steps.shape[2]), (0, 0)))
