"""Omniglot's characters as images: 28 rows of 28 pixels.

The drawings are black on white, 105 x 105 pixels of one bit. Here ink is 1, and a pixel of 28 x 28 is the share of its
area that is ink (area averaging; 105 / 28 = 3.75, so a pixel covers parts of its neighbours'): thin lines become grey
instead of being lost.
"""

from __future__ import annotations

import functools
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hpo.config.tasks import IMAGE_ROWS

Pixels = NDArray[np.uint8]  # 255 where all of a pixel is ink


def image(content: bytes) -> Pixels:
    """(28, 28) from a PNG file."""
    with Image.open(io.BytesIO(content)) as opened:
        ink = 1.0 - np.asarray(opened.convert("1"), np.float32)
    down, across = (_averaging(size) for size in ink.shape)
    pixels: Pixels = np.rint(255.0 * (down @ ink @ across.T)).astype(np.uint8)
    return pixels


def turned(pixels: Pixels, turns: NDArray[np.int64]) -> Pixels:
    """pixels (tasks, ways, examples, 28, 28), turned counterclockwise by ``turns`` (tasks, ways) quarters."""
    result = pixels.copy()
    for quarters in (1, 2, 3):
        chosen = turns == quarters
        result[chosen] = np.rot90(pixels[chosen], quarters, axes=(-2, -1))
    return result


@functools.cache
def _averaging(size: int) -> NDArray[np.float32]:
    """(28, size): what share of each of the 28 intervals of [0, size] every interval of length 1 covers."""
    edges = np.linspace(0.0, size, IMAGE_ROWS + 1)
    low, high = edges[:-1, None], edges[1:, None]
    unit = np.arange(size)
    covered = np.minimum(high, unit + 1) - np.maximum(low, unit)
    shares: NDArray[np.float32] = (np.clip(covered, 0.0, None) * IMAGE_ROWS / size).astype(np.float32)
    return shares
