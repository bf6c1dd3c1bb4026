"""Expected hypervolume improvement in logarithms: the search for a front instead of one best.

    f_k  M noiseless functions, all to be minimized: of the outcome, and of each measurement that it is traded against
    B    (b, d) the points of trials that ended and of those that run;  S samples of f_B, each with a front of its own
    r    (M,) the reference point;  HVI(y) the volume between r and the front that y dominates beyond it

    log E_{f_B}[ E[HVI(f(x)) | f_B] ]

Noisy expected hypervolume improvement (Daulton et al. 2021, arXiv:2105.08195) of one point: the front is not that of
what was measured, which is partly luck, and who runs is on it too. What is beyond a front is cut into C boxes
(BoTorch's partitioning), and the functions are independent, so the expectation over f(x) is exact (Yang et al. 2019):
the sum over the boxes of

    prod_k E[min(max(high_k - f_k, 0), high_k - low_k)] = prod_k (EI_k(high_k) - EI_k(low_k))

BoTorch's qLogNoisyExpectedHypervolumeImprovement samples f(x) as well. It gives the same (tested) for 8 times the
seconds or more, knows no difference below exp(-43), and compiles C++ when it is made first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.utils.multi_objective.box_decompositions import BoxDecompositionList, FastNondominatedPartitioning
from botorch.utils.multi_objective.pareto import is_non_dominated
from botorch.utils.sampling import draw_sobol_normal_samples
from numpy.typing import NDArray
from torch import Tensor

from hpo.records import Observation
from hpo.sampler.acquisition import log_ei
from hpo.sampler.domain import Domain, Points
from hpo.sampler.fit import fit
from hpo.sampler.joint import Conditioned, Joint
from hpo.sampler.surrogate import Hyperparameters, Surrogate

SAMPLES = 16
FARTHEST = 1e6  # standardized: a box without an end has one that no function reaches
SMALLEST = 1e-15  # relative to its nearer end, the improvement in a box that is lost in rounding


@dataclass(frozen=True)
class Tradeoff:
    """What the outcome is traded against: a process of each measurement, standardized.

    ``measured`` (n,): the rows of trials that were measured.
    """

    surrogates: tuple[Surrogate, ...]
    measured: NDArray[np.bool_]

    @classmethod
    def learn(
        cls, domain: Domain, x: Points, observations: Sequence[Observation], start: Sequence[Hyperparameters] = ()
    ) -> Tradeoff:
        """From n trials with a value and their points (n, d); those that were not measured say nothing.

        ``start``: where each fit starts, see fit.fit.
        """
        count = max((len(o.against) for o in observations if _is_measured(o)), default=0)
        measured = np.array([len(o.against) == count and _is_measured(o) for o in observations], bool)
        y = np.array([o.against for o, told in zip(observations, measured, strict=True) if told])  # (m, count)
        warm = start if len(start) == count else [None] * count
        return cls(tuple(_surrogate(domain, x[measured], y[:, k], warm[k]) for k in range(count)), measured)

    @property
    def hyperparameters(self) -> tuple[Hyperparameters, ...]:
        """Where the next fits start."""
        return tuple(surrogate.hyperparameters for surrogate in self.surrogates)


def _is_measured(observation: Observation) -> bool:
    return all(abs(logarithm) < FARTHEST for logarithm in observation.against)  # NaN is not


def _surrogate(domain: Domain, x: Points, y: Points, start: Hyperparameters | None) -> Surrogate:
    mean, scale = float(np.mean(y)), float(np.std(y))
    z = (y - mean) / (scale if scale > 1e-12 * abs(mean) else 1.0)  # a spread that is only rounding is none
    return Surrogate.condition(domain, x, z, fit(domain, x, z, start))


@dataclass(frozen=True)
class Sides:
    """Where the boxes begin and end along one function. Many share their ends, at which alone anything is computed."""

    ends: Tensor  # (S, E) ascending
    low: Tensor  # (S, C) which of them
    high: Tensor

    def log_gain(self, mean: Tensor, variance: Tensor) -> Tensor:
        """log (EI(high) - EI(low)) for f ~ N(mean, variance), (m, S) and (m, 1): (m, S, C); nothing of no size."""
        improvement = log_ei(mean.unsqueeze(-1), variance.unsqueeze(-1), self.ends)  # (m, S, E)
        whole, rest = (improvement.take_along_dim(side.unsqueeze(0), -1) for side in (self.high, self.low))
        share = -torch.expm1((rest - whole).clamp_max(-SMALLEST))
        return (whole + share.log()).masked_fill(self.low == self.high, -math.inf)


@dataclass(frozen=True)
class LogEHVI:
    """Log expected hypervolume improvement over samples of the front."""

    functions: tuple[Conditioned, ...]
    sides: tuple[Sides, ...]

    @classmethod
    def of(
        cls, surrogates: Sequence[Surrogate], reference: Tensor, ended: Tensor, pending: Tensor, seed: int
    ) -> LogEHVI:
        """``reference`` (M,); ``ended`` (n, d), n >= 1, and ``pending`` (p, d): canonical points of trials."""
        points = torch.cat([ended, pending])
        joints = [Joint.of(surrogate, points) for surrogate in surrogates]
        normal = draw_sobol_normal_samples(len(points) * len(joints), SAMPLES, dtype=torch.float64, seed=seed)
        parts = zip(joints, torch.tensor_split(normal, len(joints), -1), strict=True)
        values = torch.stack([joint.samples(part) for joint, part in parts], -1)  # (S, n + p, M)
        counts = is_non_dominated(values, maximize=False).any(0)  # on one front or another
        counts[len(ended) :] = True
        kept = values[:, counts]
        functions = [Joint.of(s, points[counts]).given(kept[..., k]) for k, s in enumerate(surrogates)]
        return cls(tuple(functions), boxes(kept, reference))

    def __call__(self, x: Tensor) -> Tensor:
        """(m, d) -> (m,)."""
        each = zip(self.functions, self.sides, strict=True)
        volume = torch.stack([sides.log_gain(*function.posterior(x)) for function, sides in each]).sum(0)  # (m, S, C)
        return torch.logsumexp(volume.flatten(1), -1) - math.log(SAMPLES)


def reference_point(surrogates: Sequence[Surrogate], tried: Tensor) -> Tensor:
    """(M,) what is expected of n points (n, d) at worst, each function by itself.

    Of all that was tried, not of the front alone, as is usual: what is dearer than the front so far would be nothing to
    it, however good.
    """
    with torch.no_grad():
        return torch.stack([surrogate.posterior(tried)[0].max() for surrogate in surrogates])


def boxes(values: Tensor, reference: Tensor) -> tuple[Sides, ...]:
    """M sides of what lies beyond the front of each of S samples of b points (S, b, M).

    Samples with fewer boxes than others have some of no size.
    """
    cut = BoxDecompositionList(*(FastNondominatedPartitioning(-reference, -sample) for sample in values))
    high, low = -cut.get_hypercell_bounds().clamp_max(FARTHEST)  # (S, C, M) each; BoTorch maximizes
    outer = torch.stack([torch.full_like(reference, -FARTHEST), reference]).expand(len(values), -1, -1)
    ends = torch.cat([values, outer], 1).sort(1).values.mT.contiguous()  # (S, M, E)
    corners = [torch.searchsorted(ends, corner.mT.contiguous()) for corner in (low, high)]  # (S, M, C)
    return tuple(Sides(ends[:, k], *(corner[:, k] for corner in corners)) for k in range(len(reference)))
