"""Episodes whose examples are ordered by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.meta.tasks.base import Episode


def class_episode(inputs: NDArray[Any], lengths: NDArray[np.int64]) -> Episode:
    """From inputs (tasks, ways, examples, time, ...) and lengths (tasks, ways, examples)."""
    tasks, ways, examples = lengths.shape
    rows = ways * examples
    targets = np.broadcast_to(np.repeat(np.arange(ways), examples), (tasks, rows))
    return Episode.of(inputs.reshape(tasks, rows, *inputs.shape[3:]), targets, lengths.reshape(tasks, rows))
