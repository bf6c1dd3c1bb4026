"""Omniglot's characters as the pen's way: (dx, dy, pen up) at each step.

The published strokes are raw: their points are as dense as a browser reported them. Here a stroke has points at equal
distances of about SPACING (the side of a drawing is 105), its ends among them; a dot has one. dx and dy lead from the
point before to this one, the first from the middle of the drawing, in units of SPACING, so that they are about 1 within
a stroke; x grows to the right, y down. Pen up is 1 at the last point of each stroke, else 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpo.config.tasks import LONGEST_DRAWING

SPACING = 5.0  # of 5,840 drawings of the small sets 99% then have at most 78 points; 4% of the side
_SIDE = 105.0
_COSINES, _SINES = np.array([[1, 0, -1, 0], [0, 1, 0, -1]], np.float32)  # of 0 to 3 quarters

Reals = NDArray[np.float64]


def drawing(content: bytes) -> NDArray[np.float32]:
    """(time, 3) from a file of strokes, without what goes beyond LONGEST_DRAWING points."""
    strokes = [_evenly_spaced(_points(stroke)) for stroke in content.decode("ascii").split("BREAK") if stroke.strip()]
    points = np.concatenate([np.full((1, 2), _SIDE / 2), *strokes])
    pen_up = np.concatenate([np.arange(len(stroke), 0, -1) == 1 for stroke in strokes])
    steps = np.column_stack([np.diff(points, axis=0) / SPACING, pen_up])
    return steps[:LONGEST_DRAWING].astype(np.float32)


def turned(steps: NDArray[np.float32], turns: NDArray[np.int64]) -> NDArray[np.float32]:
    """steps (tasks, ways, ..., 3), turned counterclockwise around the middle by ``turns`` (tasks, ways) quarters."""
    one = turns.reshape(turns.shape + (1,) * (steps.ndim - 3))
    cosine, sine = _COSINES[one], _SINES[one]
    dx, dy, pen_up = np.moveaxis(steps, -1, 0)
    return np.stack([cosine * dx + sine * dy, cosine * dy - sine * dx, pen_up], axis=-1)


def _points(stroke: str) -> Reals:
    """(points, 2) from lines of x,y,milliseconds; y is negative in the files, and grows up."""
    numbers = stroke.removeprefix("START").replace(",", " ").split()
    return np.array(numbers, np.float64).reshape(-1, 3)[:, :2] * (1.0, -1.0)


def _evenly_spaced(points: Reals) -> Reals:
    way = np.concatenate([[0.0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    if way[-1] == 0.0:
        return points[:1]
    at = np.linspace(0.0, way[-1], 1 + max(1, round(way[-1] / SPACING)))
    return np.column_stack([np.interp(at, way, coordinate) for coordinate in points.T])
