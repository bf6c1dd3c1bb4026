"""A gradient against central differences of the function that it is said to be of."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
import torch

from hpo.meta.cells import Params

_WIDTH = 1e-6


def assert_gradient(
    gradient: Params, of: Callable[[Params], float], at: Params, names: Collection[str], *, rel: float, abs: float
) -> None:
    """Along one random direction of each of ``names``; in double precision."""
    generator = torch.Generator().manual_seed(1)
    for name in names:
        direction = torch.randn(at[name].shape, dtype=torch.float64, generator=generator)
        above, below = (of(at | {name: at[name] + sign * _WIDTH * direction}) for sign in (1, -1))
        expected = float((gradient[name] * direction).sum())
        assert (above - below) / (2 * _WIDTH) == pytest.approx(expected, rel=rel, abs=abs), name
