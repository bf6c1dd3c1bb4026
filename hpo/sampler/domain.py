"""A search space as the search over it needs it: grids, snapping, conditions, enumeration, all on arrays.

d   dimensions of the space; m points
u   (m, d) latent points in [0, 1]: every coordinate has a value, active or not
x   (m, d) canonical points: on the grid, NaN at inactive dimensions, so that equal configs are equal points
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.space import Params, Space

Points = NDArray[np.float64]
Key = bytes


def key(x: Points) -> Key:
    """Equal for equal points (d,)."""
    return np.nan_to_num(x, nan=-1.0).tobytes()


@dataclass(frozen=True)
class Domain:
    """``grids``: the coordinates of each dimension's values, ascending; None for a continuous one.

    ``parents``: the dimensions that conditions look at.
    """

    space: Space
    grids: tuple[Points | None, ...]
    parents: tuple[int, ...]

    @classmethod
    def of(cls, space: Space) -> Domain:
        """The domain of a space; costs one encoding of every discrete value."""
        position = {name: j for j, name in enumerate(space.names)}
        parents = {position[name] for dimension in space.dimensions for name in dimension.when}
        return cls(space, tuple(space.grid(j) for j in range(len(space))), tuple(sorted(parents)))

    def __len__(self) -> int:
        return len(self.space)

    @property
    def continuous(self) -> NDArray[np.intp]:
        """Indices of the dimensions without a grid."""
        return np.array([j for j, grid in enumerate(self.grids) if grid is None], np.intp)

    @property
    def discrete(self) -> tuple[int, ...]:
        """Indices of the dimensions with a grid of at least two values."""
        return tuple(j for j, grid in enumerate(self.grids) if grid is not None and len(grid) > 1)

    @property
    def size(self) -> float:
        """How many values the dimensions combine to, conditions aside; infinite with a continuous one."""
        return math.prod((math.inf if grid is None else len(grid) for grid in self.grids), start=1)

    def snap(self, u: Points) -> Points:
        """(m, d) to the nearest grid values; NaN, a coordinate that nobody chose, to the middle."""
        snapped: Points = np.nan_to_num(u, nan=0.5).clip(0.0, 1.0)
        for j, grid in enumerate(self.grids):
            if grid is not None:
                snapped[:, j] = grid[np.searchsorted((grid[1:] + grid[:-1]) / 2, snapped[:, j])]
        return snapped

    def active(self, u: Points) -> NDArray[np.bool_]:
        """(m, d) which dimensions are active."""
        if not self.parents or not len(u):
            return np.ones(u.shape, bool)
        # few distinct values of the parents, so few calls
        _, first, group = np.unique(u[:, self.parents], axis=0, return_index=True, return_inverse=True)
        return np.array([self.space.active(u[i]) for i in first], bool)[group.ravel()]

    def canonical(self, u: Points) -> Points:
        """(m, d) NaN at inactive dimensions of points that are on the grid."""
        return np.where(self.active(u), u, np.nan)

    def encode(self, configs: Sequence[Mapping[str, Any]]) -> Points:
        """(m, d) canonical points of params."""
        return np.array([self.space.encode(params) for params in configs], float).reshape(-1, len(self))

    def point(self, params: Mapping[str, Any]) -> Points | None:
        """(d,) canonical point of params; None where they are no complete, valid point of the space."""
        try:
            x = self.space.encode(params)
        except (ValueError, TypeError):  # a value outside of its dimension, or of another type
            return None
        return x if self.space.is_complete(params) else None

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Whether params are a complete, valid point of the space."""
        return self.point(params) is not None

    def key(self, params: Mapping[str, Any]) -> Key:
        """Equal for equal params: what a set of seen points holds."""
        return key(self.space.encode(params))

    def enumerate(self) -> Iterator[Points]:
        """Every (d,) canonical point once; a continuous dimension counts with 64 values spread over it."""
        return self._extensions({}, [])

    def _extensions(self, params: Params, prefix: list[float]) -> Iterator[Points]:
        j = len(prefix)
        if j == len(self):
            yield np.array(prefix)
        elif not self.space.is_active(j, params):
            yield from self._extensions(params, [*prefix, math.nan])
        else:
            grid = self.grids[j]
            dimension = self.space.dimensions[j]
            for u in (np.arange(64) + 0.5) / 64 if grid is None else grid:
                yield from self._extensions({**params, dimension.name: dimension.decode(u)}, [*prefix, float(u)])
