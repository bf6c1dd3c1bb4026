"""The archives of the Omniglot data set (Lake, Salakhutdinov and Tenenbaum 2015; MIT licence): found or downloaded.

They are those of https://github.com/brendenlake/omniglot at its last commit, and refused where they are not.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from hpo.config.data_files import VARIABLE, data_folder
from hpo.errors import InputError
from hpo.meta.tasks.cache import cache_folder

_REPOSITORY = "https://raw.githubusercontent.com/brendenlake/omniglot/057f034baf2ecb8530bc5710e5a23584d2a519cc/python"
CHECKSUMS = {  # the full images' are the ones that torchvision has
    "images_background_small1.zip": "sha256:f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
    "images_background_small2.zip": "sha256:3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
    "images_background.zip": "md5:68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "md5:6b91aef0f799c5bb55b94e3f2daec811",
    "strokes_background_small1.zip": "sha256:8cb3960fb6cf4ccf5f064ad83169f828c36c36782a0f6e7faacb7ecfae4468a2",
    "strokes_background_small2.zip": "sha256:345bf2141efbea062833dbb2828abbc23d9e07825e46f2afdd4daecddfed6e78",
    "strokes_background.zip": "sha256:c1e445d158fd74b6adf81f1387ebe051f5a23923bdb0c16f539d6e707ce056d4",
    "strokes_evaluation.zip": "sha256:17185a39049e62d6e6a26070fa5c58e5ce7dbaff826a9f78595bdd7881d2070b",
    "all_runs.zip": "sha256:437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325",
}
_FOLDERS = {"all_runs.zip": "one-shot-classification/"}  # in the repository


def archive(name: str) -> Path:
    """The archive ``name``: in HPO_DATA_DIR, in its folder omniglot, or downloaded once into the cache.

    Raises InputError where it is in none of them, or where a file of that name is not the data set's.
    """
    for path in _candidates(name):
        if path.is_file():
            return _verified(path)
    return _downloaded(name)


def _candidates(name: str) -> list[Path]:
    folder = data_folder()
    return [] if folder is None else [folder / "omniglot" / name, folder / name]


def _verified(path: Path) -> Path:
    kind, _, expected = CHECKSUMS[path.name].partition(":")
    found = hashlib.new(kind, path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != expected:
        raise InputError(
            f"{path}: found the {kind} {found}, expected {expected}: this is not the file of that name from"
            f" {url(path.name)}"
        )
    return path


def url(name: str) -> str:
    """Where an archive is published."""
    return f"{_REPOSITORY}/{_FOLDERS.get(name, '')}{name}"


def _downloaded(name: str) -> Path:
    import pooch  # here, as it takes a quarter of a second and is needed once

    folder = cache_folder()
    try:
        path = None if folder is None else folder / "omniglot"
        return Path(pooch.retrieve(url(name), CHECKSUMS[name], fname=name, path=path))
    except (OSError, ValueError) as error:
        raise InputError(
            f"tasks: Omniglot's {name} cannot be had: {_looked_for(name)}, and downloading it fails: {error}\n"
            f"put {url(name)} into a folder named omniglot, and set {VARIABLE} to the folder that holds that one"
        ) from error


def _looked_for(name: str) -> str:
    candidates = " or ".join(map(str, _candidates(name)))
    return f"there is no {candidates}" if candidates else f"{VARIABLE} is not set"
