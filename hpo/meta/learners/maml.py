"""Model-agnostic meta-learning (Finn, Abbeel & Levine 2017, arXiv:1703.03400), first and second order; and MAML++.

First order leaves out how grad L_support depends on phi_k: d phi_K / d theta = 1 (section 5.2 of the paper). Without
``adapt_embedding`` the table is no part of phi: it stays as it is in the inner loop and gets a meta-gradient only.

Two options are from MAML++ (Antoniou, Edwards & Storkey 2019, arXiv:1810.09502, section 4):

learned rates    alpha_k of every layer and step is a meta-parameter; steps beyond K take that of the last
multi-step loss  sum_k w_k L_query(phi_k), k = 1..K: of M meta-iterations, number n = 0, 1, ... has
                 w_k = (1 - n / M) / K for k < K, and w_K is the rest of 1; from M on it is 1, which is MAML

The paper says of the weights that they begin equal and end at the last; that they change linearly is its code's way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from hpo.config.learner import MamlConfig
from hpo.meta.cells import Params
from hpo.meta.learners.inner_loop import Rates
from hpo.meta.learners.unrolled import Unrolled
from hpo.meta.network import Network


@dataclass(frozen=True)
class Maml(Unrolled):
    """See the module.

    early  how much of the multi-step loss is spread over all steps: 1 - n / M
    """

    config: MamlConfig
    network: Network
    early: float = 0.0

    def at(self, meta_iteration: int) -> Maml:
        """See Annealed."""
        total = self.config.multi_step_iterations
        return replace(self, early=1 - meta_iteration / total) if meta_iteration < total else self

    @cached_property
    def adapted(self) -> list[str]:
        """See Unrolled."""
        return [name for name in self.network.names if name != "embedding" or self.config.adapt_embedding]

    @property
    def weights(self) -> Sequence[float]:
        """See Unrolled."""
        others = self.early / self.inner_steps
        return (0.0, *[others] * (self.inner_steps - 1), 1.0 - others * (self.inner_steps - 1))

    @property
    def learns_rates(self) -> bool:
        """See Unrolled."""
        return self.config.rates == "learned"

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """See Unrolled; learned rates begin as ``inner_lr``."""
        theta = super().init(generator, dtype)
        layers = dict.fromkeys(map(_rate_of, self.adapted)) if self.learns_rates else {}
        return theta | {layer: torch.full((self.inner_steps,), self.config.inner_lr, dtype=dtype) for layer in layers}

    def rates(self, meta: Params, step: int) -> Rates:
        """See Unrolled."""
        if not self.learns_rates:
            return super().rates(meta, step)
        return {name: meta[_rate_of(name)][min(step, self.inner_steps - 1)] for name in self.adapted}

    def rate_gradient(self, by_step: Sequence[Params]) -> Params:
        """See Unrolled: each rate's (K,)."""
        found: Params = {}
        for name in self.adapted if by_step else ():
            own = torch.stack([step[name].sum() for step in by_step])
            found[_rate_of(name)] = found.get(_rate_of(name), 0.0) + own
        return found

    @property
    def _is_one_program(self) -> bool:
        return not self.early


def _rate_of(name: str) -> str:
    """``cell0.w_ih`` -> ``rate.cell0``: a layer's parameters share theirs."""
    return f"rate.{name.partition('.')[0]}"
