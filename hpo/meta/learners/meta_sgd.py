"""Meta-SGD (Li, Zhou, Chen & Li 2017, arXiv:1707.09835).

    phi_{k+1} = phi_k - alpha o grad L_support(phi_k)    equation 2; o is by coordinate, K = 1 in the paper

alpha, of theta's shape, is meta-learned with it: for every coordinate how far, and with its sign which way. The paper
draws one number for all coordinates to begin with; here it is ``inner_lr``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hpo.config.learner import MetaSgdConfig
from hpo.meta.cells import Params
from hpo.meta.learners.inner_loop import Rates
from hpo.meta.learners.unrolled import Unrolled


@dataclass(frozen=True)
class MetaSgd(Unrolled):
    """See the module."""

    config: MetaSgdConfig

    @property
    def learns_rates(self) -> bool:
        """Always."""
        return True

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """See Unrolled."""
        theta = super().init(generator, dtype)
        return theta | {f"rate.{name}": torch.full_like(theta[name], self.config.inner_lr) for name in self.adapted}

    def rates(self, meta: Params, step: int) -> Rates:
        """See Unrolled: the same in every step."""
        return {name: meta[f"rate.{name}"] for name in self.adapted}

    def rate_gradient(self, by_step: Sequence[Params]) -> Params:
        """See Unrolled."""
        return {f"rate.{name}": torch.stack([own[name] for own in by_step]).sum(dim=0) for name in self.adapted}
