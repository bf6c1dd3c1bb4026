"""The derivatives by autograd, for whatever has no hand-written ones; the reference that those are tested against."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.gradients.base import Slope
from hpo.meta.network import Network, Sequences
from hpo.meta.profile import component


@dataclass(frozen=True)
class AutogradLoss:
    """Implements EpisodeLoss for every differentiable network; the trace is the leaves and the gradient's graph."""

    network: Network
    sequences: Sequences
    targets: Tensor

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return self.targets.shape[0]

    @torch.enable_grad()
    def slope(self, params: Params, names: Collection[str], *, keep: bool) -> Slope:
        """See EpisodeLoss."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in params.items()}
        with component("forward"):
            predictions = self.network.forward(leaves, self.sequences)
            loss = self.network.loss(predictions, self.targets)
        wanted = [leaves[name] for name in names]
        with component("adjoint"):
            gradients = torch.autograd.grad(loss.sum(), wanted, create_graph=keep)  # tasks do not interact
        # clone: of parameters that appear as a sum only, as two biases, autograd gives one tensor twice
        own = {name: gradient.detach().clone() for name, gradient in zip(names, gradients, strict=True)}
        trace = (leaves, dict(zip(names, gradients, strict=True))) if keep else None
        return Slope(predictions.detach(), own, trace)

    @torch.no_grad()
    def predict(self, params: Params) -> Tensor:
        """See EpisodeLoss."""
        return self.network.forward(params, self.sequences)

    @torch.enable_grad()
    def curvature(self, params: Params, slope: Slope, direction: Params) -> Params:
        """See EpisodeLoss."""
        leaves, gradients = slope.trace
        along = [gradients[name] for name in direction]
        with component("curvature"):
            products = torch.autograd.grad(
                along, list(leaves.values()), list(direction.values()), allow_unused=True, materialize_grads=True
            )
        return dict(zip(leaves, products, strict=True))
