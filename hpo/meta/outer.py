"""The outer optimizer: Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1) on the clipped meta-gradient.

    g      <- g min(1, clip_norm / |g|)                  |g| over all parameters together
    m, v   <- beta1 m + (1 - beta1) g,  beta2 v + (1 - beta2) g^2
    theta  <- theta - outer_lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

Written out because the first torch.optim optimizer of a process imports torch's compiler: 1.8 s in every runner.
"""

from __future__ import annotations

import math

import torch

from hpo.config.training import TrainingConfig
from hpo.meta.cells import Params

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # the paper's, and torch.optim's


class Outer:
    """Meta-parameters that change in place, and Adam's two moments of each."""

    def __init__(self, meta: Params, training: TrainingConfig) -> None:
        self.meta = meta
        self._m = {name: torch.zeros_like(tensor) for name, tensor in meta.items()}
        self._v = {name: torch.zeros_like(tensor) for name, tensor in meta.items()}
        self._steps = 0
        self._lr = training.outer_lr
        self._clip_norm = training.clip_norm

    def step(self, gradient: Params) -> float:
        """One step against ``gradient``; none at all where its norm is not finite. Returns the norm before clipping."""
        norm = float(torch.stack([torch.linalg.vector_norm(tensor) for tensor in gradient.values()]).norm())
        if math.isfinite(norm):
            self._steps += 1
            scale = self._clip_norm / max(norm, self._clip_norm)
            for name, tensor in gradient.items():
                self._update(name, tensor * scale)
        return norm

    def tensors(self) -> Params:
        """All that the next step depends on besides the number of steps so far, by name."""
        parts = {"meta": self.meta, "exp_avg": self._m, "exp_avg_sq": self._v}
        return {f"{part}.{name}": tensor for part, params in parts.items() for name, tensor in params.items()}

    def restore(self, tensors: Params, steps: int) -> None:
        """Continues from what :meth:`tensors` gave after ``steps`` steps.

        Raises ValueError where names or shapes are not those of this network; nothing is changed then.
        """
        own = self.tensors()
        if {name: t.shape for name, t in tensors.items()} != {name: t.shape for name, t in own.items()}:
            raise ValueError("names or shapes of the tensors are not those of this network")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        self._steps = steps

    def _update(self, name: str, g: torch.Tensor) -> None:
        m, v = self._m[name], self._v[name]
        m.lerp_(g, 1 - _BETA1)
        v.mul_(_BETA2).addcmul_(g, g, value=1 - _BETA2)
        root = (v / (1 - _BETA2**self._steps)).sqrt_().add_(_EPSILON)
        self.meta[name].addcdiv_(m, root, value=-self._lr / (1 - _BETA1**self._steps))
