"""The inner loop of gradient-based meta-learning, and its derivative by the adjoint recursion.

    phi_0 = theta                                              in every task
    phi_{k+1} = phi_k - alpha_k g_k,  g_k = grad L_support(phi_k)      k = 0..K-1; for the adapted parameters
    L = sum_k w_k L_query(phi_k)                               w_K = 1 alone in MAML

    lambda_K = w_K grad L_query(phi_K)
    d L / d alpha_k = - lambda_{k+1} g_k
    lambda_k = lambda_{k+1} - H_k (alpha_k lambda_{k+1}) + w_k grad L_query(phi_k),  H_k = Hessian of L_support at phi_k
    d L / d theta = lambda_0

So only phi_k and what H_k needs of step k are kept, never a graph of the loop (Maclaurin et al. 2015, arXiv:1502.03492,
section 2, run backwards from stored states). First order sets H_k = 0 (Finn et al. 2017, section 5.2). alpha_k is a
number, or a tensor for every parameter: one a layer and step (MAML++, Antoniou et al. 2019, arXiv:1810.09502, as are
the weights w_k), or one for every coordinate (Meta-SGD, Li et al. 2017, arXiv:1707.09835). alpha_k lambda and the like
are products coordinate by coordinate, H_k has rows for all parameters and columns for the adapted ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.gradients import EpisodeLoss, Slope

Rates = Mapping[str, float | Tensor]  # by adapted parameter; tensors broadcast with (tasks, *shape)


@dataclass(frozen=True)
class MetaGradient:
    """Each task's own part.

    theta  (tasks, *shape) for every parameter
    rates  (tasks, *shape) for every adapted parameter, K times; to be summed to the shape that a rate has
    predictions  (tasks, examples, outputs) of the query set after step K
    """

    theta: Params
    rates: list[Params]
    predictions: Tensor


@dataclass(frozen=True)
class InnerLoop:
    """K steps of gradient descent on the support set.

    rates        alpha_0..alpha_{K-1}, all for the same names: those of the adapted parameters
    second       second order: the support gradients are differentiated
    weights      w_0..w_K of the query losses
    learn_rates  whether the derivatives by the rates are wanted
    recompute    whether to keep phi_k alone and compute step k again on the way back: less memory, one slope more
    """

    rates: Sequence[Rates]
    second: bool
    weights: Sequence[float]
    learn_rates: bool = False
    recompute: bool = False

    @torch.no_grad()  # the rates may require gradients
    def meta_gradient(self, theta: Params, support: EpisodeLoss, query: EpisodeLoss) -> MetaGradient:
        """theta (tasks, *shape): one set expanded to all tasks, or each task's own."""
        path, adapted = self._descend(theta, support)
        last = query.slope(adapted, theta.keys(), keep=False)
        adjoint = _scaled(last.gradient, self.weights[-1])
        by_rates: list[Params] = []
        for (phi, slope), rates, weight in reversed(list(zip(path, self.rates, self.weights, strict=False))):
            if self.learn_rates:
                by_rates.append({name: -adjoint[name] * slope.gradient[name] for name in rates})
            if self.second:
                kept = support.slope(phi, rates.keys(), keep=True) if self.recompute else slope
                rate, direction = _along(adjoint, rates)
                _add(adjoint, support.curvature(phi, kept, direction), -rate)
            if weight:
                _add(adjoint, query.slope(phi, theta.keys(), keep=False).gradient, weight)
        return MetaGradient(adjoint, by_rates[::-1], last.predictions)

    def _descend(self, theta: Params, support: EpisodeLoss) -> tuple[list[tuple[Params, Slope]], Params]:
        """phi_k with the slope there, k = 0..K-1, if the way back needs them; and phi_K."""
        path, phi = [], theta
        for rates in self.rates:
            slope = support.slope(phi, rates.keys(), keep=self.second and not self.recompute)
            if self.returns:
                path.append((phi, slope))
            phi = descend(phi, slope, rates, consume=not self.returns)
        return path, phi

    @property
    def returns(self) -> bool:
        """Whether the derivatives depend on more than phi_K."""
        return self.second or self.learn_rates or any(self.weights[:-1])


def descend(phi: Params, slope: Slope, rates: Rates, *, consume: bool) -> Params:
    """phi_{k+1}; consume: in the memory of the gradient, which then is no more."""
    changed = {}
    for name, rate in rates.items():
        gradient = slope.gradient[name]
        out = gradient if consume else torch.empty_like(gradient)
        if isinstance(rate, Tensor):
            changed[name] = torch.sub(phi[name], torch.mul(gradient, rate, out=out), out=out)
        else:
            changed[name] = torch.sub(phi[name], gradient, alpha=rate, out=out)
    return phi | changed


def _along(adjoint: Params, rates: Rates) -> tuple[float, Params]:
    """A number and a direction whose product is alpha_k lambda_{k+1}; one number for all parameters needs no copy."""
    first, *others = rates.values()
    if not isinstance(first, Tensor) and all(rate is first for rate in others):
        return first, {name: adjoint[name] for name in rates}
    return 1.0, {name: adjoint[name] * rate for name, rate in rates.items()}


def _scaled(params: Params, factor: float) -> Params:
    return params if factor == 1.0 else {name: tensor * factor for name, tensor in params.items()}


def _add(params: Params, other: Params, factor: float) -> None:
    for name, tensor in other.items():
        params[name].add_(tensor, alpha=factor)
