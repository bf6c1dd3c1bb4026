"""What a training costs, and how much that counts: improvement a second, cooling as the budget ends.

    c    seconds of a whole training
    phi  (d,) of a point: the logarithm of a positive number, the coordinate of any other number, of a category how much
         dearer it is than the mean; 0 where a dimension is inactive
    log c = b_0 + b phi + noise

    b_j ~ N(e_j, d_j^2), where e_j is the exponent with which dimension j enters the multiplications of a meta-gradient:
    the structure is the prior, which the measured seconds then correct (a small hidden size costs more than its square
    says). Conjugate, so exact: Rasmussen & Williams 2006, section 2.1.1. Of 300 trainings of language_id the structure
    alone ranks the seconds with a correlation of 0.90 in logarithms; corrected by 30 of them, of 0.93.

The acquisition is log EI - t log c. The thrift t falls to 0 as the budget ends (Lee et al. 2020, arXiv:2003.10870,
cost-cooling): at first one learns from what is cheap, at the end only the improvement counts. It begins above 1, where
the improvement a second is maximized: see MOST_THRIFT in optuna_sampler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.config.search import CategoricalDimension, Dimension, FloatDimension, IntDimension
from hpo.config.work import EXPONENTS
from hpo.sampler.acquisition import Acquisition
from hpo.sampler.domain import Domain, Points
from hpo.space import SearchDimension

Values = NDArray[np.float64]

KNOWN_DEVIATION = 0.5  # of the coefficient of a dimension whose exponent is expected
OTHER_DEVIATION = 0.2  # of any other coefficient
NOISE_DEVIATION = 0.3  # of the logarithm of measured seconds: other work on the machine, another length of the words
BASE_DEVIATION = 10.0  # of b_0: nothing is known of the machine


@dataclass(frozen=True)
class Cost:
    """Posterior mean of the coefficients."""

    features: _Features
    base: float
    coefficients: Tensor  # (f,)

    @classmethod
    def learn(cls, domain: Domain, x: Points, seconds: Sequence[float | None]) -> Cost:
        """From n points (n, d) and what their trainings took, each > 0 or unknown; of none, only the structure."""
        known = np.array([each is not None for each in seconds], bool)
        x, measured = x[known], np.array([each for each in seconds if each is not None], float)
        features = _Features.of(domain)
        phi = features(torch.from_numpy(x)).numpy()  # (n, f)
        design = np.column_stack([np.ones(len(x)), phi])
        prior = np.concatenate([[0.0], features.exponents])
        precision = np.concatenate([[BASE_DEVIATION], features.deviations]) ** -2.0
        normal = design.T @ design / NOISE_DEVIATION**2 + np.diag(precision)
        right = design.T @ (np.log(measured) - design @ prior) / NOISE_DEVIATION**2
        posterior = prior + np.linalg.solve(normal, right)
        return cls(features, float(posterior[0]), torch.from_numpy(posterior[1:]))

    def log_seconds(self, x: Tensor) -> Tensor:
        """(m, d) canonical points -> (m,), differentiable."""
        return self.base + self.features(x) @ self.coefficients


@dataclass(frozen=True)
class ThriftyAcquisition:
    """``acquisition`` less ``thrift`` times the logarithm of the seconds."""

    acquisition: Acquisition
    cost: Cost
    thrift: float

    def __call__(self, x: Tensor) -> Tensor:
        """(m, d) -> (m,)."""
        return self.acquisition(x) - self.thrift * self.cost.log_seconds(x)


@dataclass(frozen=True)
class _Features:
    """phi of canonical points. ``exponents`` and ``deviations`` (f,): what is expected of the coefficients."""

    dimensions: Sequence[SearchDimension]
    exponents: Values
    deviations: Values

    @classmethod
    def of(cls, domain: Domain) -> _Features:
        dimensions = domain.space.dimensions
        widths = [_choices(dimension) or 1 for dimension in dimensions]
        exponents = [EXPONENTS.get(each.name, 0.0) if _is_scaled(each.config) else 0.0 for each in dimensions]
        e = np.repeat(np.array(exponents, float), widths)
        return cls(dimensions, e, np.where(e > 0.0, KNOWN_DEVIATION, OTHER_DEVIATION))

    def __call__(self, x: Tensor) -> Tensor:
        """(m, d) -> (m, f), differentiable."""
        columns = [_columns(dimension, x[..., j : j + 1]) for j, dimension in enumerate(self.dimensions)]
        return torch.cat([x.new_zeros(*x.shape[:-1], 0), *columns], -1)


def _columns(dimension: SearchDimension, u: Tensor) -> Tensor:
    """(m, 1) -> (m, 1), of a category (m, choices)."""
    inactive, u = u.isnan(), u.nan_to_num(0.5)
    if choices := _choices(dimension):
        chosen = (u.detach() * choices).floor().long().clamp(0, choices - 1)
        return torch.eye(choices, dtype=u.dtype)[chosen.squeeze(-1)].masked_fill(inactive, 0.0)
    return _number(dimension.config, u).masked_fill(inactive, 0.0)


def _number(config: Dimension, u: Tensor) -> Tensor:
    """phi, less that at the middle."""
    if not _is_scaled(config):
        return u - 0.5
    low, high = _ends(config)
    if config.log:
        return (u - 0.5) * (math.log(high) - math.log(low))
    return (low + u * (high - low)).log() - math.log((low + high) / 2)


def _ends(config: FloatDimension | IntDimension) -> tuple[float, float]:
    """The numbers at 0 and 1: a value of a grid is in the middle of its part."""
    half = (config.step or 0.0) / 2
    return (config.low - half, config.high + half) if config.low > half else (config.low, config.high)


def _is_scaled(config: Dimension) -> TypeGuard[FloatDimension | IntDimension]:
    """Whether it is of positive numbers."""
    return not isinstance(config, CategoricalDimension) and config.low > 0


def _choices(dimension: SearchDimension) -> int:
    return len(dimension.config.choices) if isinstance(dimension.config, CategoricalDimension) else 0
