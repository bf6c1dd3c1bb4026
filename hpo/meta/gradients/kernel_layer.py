"""One recurrent layer by torch's own kernel: for wide layers of which nothing but one gradient is wanted.

On a CPU, torch.nn's LSTM is one oneDNN call a pass. It hands out no gates, so a Hessian-vector product cannot follow,
and it takes one task at a time; but the weights of one task stay in the cache from step to step, while the products of
all tasks read theirs anew at every step. Milliseconds of a gradient (16 tasks of 28 features x 28 steps, one core):
    H                           96           128          192          256
    5 examples, our scans       12.0         20.0         41.0         73.6
                kernel          13.7         18.8         32.7         52.4
    25 examples, our scans      36.5         59.7         121          197
                 kernel         40.4         59.2         103          172
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.cells.base import PARAMETERS
from hpo.meta.cells.steps import Steps

Kernel = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class KernelForward:
    """Outputs (tasks, packed, H); of each task, what autograd differentiates and the leaves it does so by."""

    outputs: Tensor
    results: list[Tensor]
    leaves: list[list[Tensor]]


@dataclass(frozen=True)
class KernelBackward:
    """By the layer's parameters, and dL/dx (tasks, packed, features) unless x is the data."""

    gradient: Params
    inputs: Tensor | None


@dataclass(frozen=True)
class KernelLayer:
    """Gradients as Layer gives them, for steps of equal size; ``kernel`` is called like torch.lstm.

    data: whether x is the data, by which nothing is differentiated
    """

    kernel: Kernel
    steps: Steps
    data: bool

    def forward(self, params: Params, x: Tensor, *, keep: bool) -> KernelForward:
        """Over all steps of x (tasks, packed, features); nothing can be kept."""
        assert not keep
        results, leaves = [], []
        shape = (len(self.steps.sizes), self.steps.first, -1)  # time, examples
        with torch.enable_grad():
            for inputs, *own in zip(x, *(params[name] for name in PARAMETERS), strict=True):
                weights = [tensor.detach().requires_grad_() for tensor in own]
                read = inputs.detach().requires_grad_(not self.data)
                state = inputs.new_zeros(1, self.steps.first, own[1].shape[1])
                outputs, *_ = self.kernel(read.view(shape), (state, state), weights, True, 1, 0.0, True, False, False)
                results.append(outputs.flatten(0, 1))
                leaves.append(weights if self.data else [*weights, read])
        return KernelForward(_stacked(results).detach(), results, leaves)

    def adjoint(
        self, params: Params, forward: KernelForward, outputs: Tensor, *, only_last: bool = False
    ) -> KernelBackward:
        """From outputs (tasks, packed, H), dL/dh as it is read by others; only_last: see Recurrence."""
        if only_last:
            outputs[:, : -self.steps.first] = 0
        gradients = map(torch.autograd.grad, forward.results, forward.leaves, outputs)
        found = [_stacked(each) for each in zip(*gradients, strict=True)]
        return KernelBackward(dict(zip(PARAMETERS, found, strict=False)), None if self.data else found[-1])

    def gradient(self, forward: KernelForward, backward: KernelBackward) -> Params:
        """By the layer's own parameters."""
        return backward.gradient

    def inputs(self, params: Params, backward: KernelBackward) -> Tensor:
        """dL/dx, like x."""
        assert backward.inputs is not None  # x is no data where its derivative is asked for
        return backward.inputs


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """One task's without a copy."""
    return tensors[0].unsqueeze(0) if len(tensors) == 1 else torch.stack(list(tensors))
