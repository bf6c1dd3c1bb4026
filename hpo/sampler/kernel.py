"""Matern-5/2 with one lengthscale a dimension over floats, ints, categories and conditional dimensions.

    x   (..., d) canonical points in [0, 1]; NaN at inactive dimensions
    w   (d,) inverse squared lengthscales
    s   (..., n, m) squared distance  s(x, x') = sum_j w_j s_j(x_j, x'_j)
    k   (1 + sqrt(5 s) + 5 s / 3) exp(-sqrt(5 s))

Each s_j is the squared Euclidean distance of an embedding of the coordinate, so k is positive definite:

    numeric                 x_j itself                                         s_j = (x_j - x'_j)^2
    numeric, conditional    (cos x_j, sin x_j); (0, 0) where inactive          s_j = 4 sin^2((x_j - x'_j) / 2), 1, 0
    categorical             one-hot / sqrt(2), inactive being one more choice  s_j = [x_j != x'_j] (Hamming)

The arc is the kernel of Hutter & Osborne 2013 (arXiv:1310.5738) and Swersky et al. 2014 (arXiv:1409.4011) with an arc
of one radian: an active point is at distance 1 from an inactive one, like two categories, whatever its value; two
inactive ones are at distance 0; two active ones are at most 4.2% nearer than on a straight line. No straight line does
this: no point has the same distance to three points of a line.
The one-hot coordinates are only a way to compute the Hamming distance: the search never moves along them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import gpytorch  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import torch
from torch import Tensor

from hpo.sampler.domain import Domain


@dataclass(frozen=True)
class Embedding:
    """Euclidean coordinates of canonical points. ``owner`` (e,): the dimension that each coordinate belongs to."""

    straight: Tensor  # indices of numeric, always active dimensions
    arc: Tensor  # indices of numeric, conditional dimensions
    categories: tuple[tuple[int, int], ...]  # (dimension, how many choices)
    owner: Tensor

    @classmethod
    def of(cls, domain: Domain) -> Embedding:
        """The embedding of a domain's points."""
        categorical = domain.space.categorical
        conditional = [bool(dimension.when) for dimension in domain.space.dimensions]
        numeric = [j for j in range(len(domain)) if not categorical[j]]
        straight = [j for j in numeric if not conditional[j]]
        arc = [j for j in numeric if conditional[j]]
        categories = [(j, len(_grid(domain, j))) for j in range(len(domain)) if categorical[j]]
        owner = straight + arc + arc + [j for j, count in categories for _ in range(count + 1)]
        return cls(_indices(straight), _indices(arc), tuple(categories), _indices(owner))

    def __call__(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., e)."""
        inactive = x.isnan()
        u = x.nan_to_num(0.5)
        on_arc, off = u[..., self.arc], inactive[..., self.arc]
        parts = [u[..., self.straight], on_arc.cos().masked_fill(off, 0.0), on_arc.sin().masked_fill(off, 0.0)]
        parts += [_one_hot(u[..., j], inactive[..., j], count) for j, count in self.categories]
        return torch.cat(parts, -1)


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """(..., n, e), (..., m, e) -> (..., n, m) by matrix product: 1e-15 off, and many times faster than differences."""
    inner = a @ b.mT
    return a.square().sum(-1, keepdim=True) + b.square().sum(-1).unsqueeze(-2) - 2 * inner


def matern52(s: Tensor) -> Tensor:
    """k(s). The clamp keeps the derivative of the root finite at s = 0."""
    r = (5 * s).clamp_min(1e-20).sqrt()
    return (1 + r + r.square() / 3) * torch.exp(-r)


def matern52_and_slope(s: Tensor) -> tuple[Tensor, Tensor]:
    """k(s) and k'(s) = -5/6 (1 + sqrt(5 s)) exp(-sqrt(5 s)); keeps no graph."""
    with torch.no_grad():
        r = (5 * s).clamp_min_(1e-20).sqrt_()
        decay = torch.exp(-r)
        return (1 + r + r.square() / 3).mul_(decay), (r + 1).mul_(decay).mul_(-5 / 6)


class MixedMatern52(gpytorch.kernels.Kernel):  # type: ignore[misc]  # untyped base
    """The kernel on embedded points (..., e), with log w as its parameter.

    Prior on w, as in Optuna's GPSampler: log p(w) = -(0.1 / w + 0.1 w), which keeps w from 0 and infinity.
    """

    def __init__(self, owner: Tensor, dimensions: int) -> None:
        super().__init__()
        self.owner = owner
        self.register_parameter("log_w", torch.nn.Parameter(torch.zeros(dimensions, dtype=torch.float64)))
        self.register_prior("w_prior", InverseSquaredLengthscalePrior(), lambda kernel: kernel.log_w.exp())

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Covariance (..., n, m), or its diagonal (..., n)."""
        if diag:
            return torch.ones(x1.shape[:-1], dtype=x1.dtype)
        scale = (0.5 * self.log_w).exp()[self.owner]  # (e,)
        return matern52(squared_distance(x1 * scale, x2 * scale))


class InverseSquaredLengthscalePrior(gpytorch.priors.Prior):  # type: ignore[misc]  # untyped base
    """log p(w) = -(0.1 / w + 0.1 w), not normalized."""

    def __init__(self) -> None:
        super().__init__(validate_args=False)

    def log_prob(self, w: Tensor) -> Tensor:
        """(d,) -> (d,)."""
        return -(0.1 / w + 0.1 * w)


def _grid(domain: Domain, j: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    grid = domain.grids[j]
    assert grid is not None, "a categorical dimension has a grid"
    return grid


def _indices(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def _one_hot(u: Tensor, inactive: Tensor, count: int) -> Tensor:
    """(...) -> (..., count + 1): choice k of n has the coordinate (k + 1/2) / n; the last is "inactive"."""
    choice = (u.detach() * count).floor().long().clamp(0, count - 1).masked_fill(inactive, count)
    return torch.nn.functional.one_hot(choice, count + 1).to(u.dtype) * math.sqrt(0.5)
