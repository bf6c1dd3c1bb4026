"""The 20 official one-shot classification runs of Omniglot (Lake et al. 2015): 20-way, 1-shot, within one alphabet.

Each has 20 training images, one a character, and one test image of each character by another person. They are of the
evaluation alphabets, which the small and the full background sets do not hold.
"""

from __future__ import annotations

import zipfile

import numpy as np
from numpy.typing import NDArray

from hpo.meta.tasks.base import Episode, TaskBatch
from hpo.meta.tasks.omniglot_archives import archive
from hpo.meta.tasks.omniglot_images import image

RUNS, WAYS = 20, 20


def official_runs() -> TaskBatch:
    """All runs in their order, as tasks: support and query of 20 images each, as Omniglot's ``rows`` are.

    Raises InputError where the archive is neither in HPO_DATA_DIR nor can be downloaded.
    """
    with zipfile.ZipFile(archive("all_runs.zip")) as opened:
        pairs = [_pairs(opened, run) for run in range(1, RUNS + 1)]  # of test and training images
        support = [_images(opened, [training for _, training in run]) for run in pairs]
        query = [_images(opened, [test for test, _ in run]) for run in pairs]
    return TaskBatch(_episode(support), _episode(query))


def _pairs(opened: zipfile.ZipFile, run: int) -> list[list[str]]:
    """Of every class: the name of its test image, and of the training image with the same character."""
    labels = opened.read(f"run{run:02}/class_labels.txt").decode("ascii")
    return [line.split() for line in labels.splitlines()]


def _images(opened: zipfile.ZipFile, names: list[str]) -> NDArray[np.float32]:
    return np.stack([image(opened.read(name)) for name in names]) * np.float32(1 / 255)


def _episode(images: list[NDArray[np.float32]]) -> Episode:
    return Episode.of(np.stack(images), np.tile(np.arange(WAYS), (RUNS, 1)))
