"""The simple recurrent cell with tanh or relu.

    h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)          or relu(...)

Derivatives: x~ is dL/dx, x^ the derivative of x in a direction; products of vectors are elementwise.

    D = 1 - h^2                                                or h > 0
    adjoint     h~_t += W_hh^T a~_{t+1}                        a~_t += D_t h~_t
    tangent     a^_t += W_hh h^_{t-1}                          h^_t = D_t a^_t
    curvature   the adjoint scan once more, begun with         a~^_t = D^_t h~_t, D^ = -2 h h^ or 0

Source: Elman 1990, "Finding structure in time", in the parametrization of torch.nn.RNN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hpo.meta.cells.base import Params, State, affine, contiguous, running, times, zeros
from hpo.meta.cells.steps import Steps, continuing, receive


def project(params: Params, x: Tensor) -> Tensor:
    """W_ih x + b_ih + b_hh; x (tasks, rows, features) -> (tasks, rows, H)."""
    return affine(x, params["w_ih"], params["b_ih"] + params["b_hh"])


def scan(
    activation: Callable[[Tensor], Tensor],
    params: Params,
    projected: Tensor,
    sizes: Sequence[int],
    state: State | None = None,
) -> tuple[Tensor, State]:
    """Outputs (tasks, packed, H) and state (h,); see Cell."""
    w_hh = params["w_hh"].mT  # (tasks, H, H)
    state = state or zeros(1, params, sizes[0])
    outputs = []
    for x in projected.split_with_sizes(list(sizes), dim=1):  # (tasks, n_t, H)
        (h,) = running(state, x.shape[1])
        h = activation(torch.baddbmm(x, h, w_hh))
        state = (h,)
        outputs.append(h)
    return torch.cat(outputs, dim=1), state


class Trace(NamedTuple):
    """A forward pass: h and D (tasks, packed, H)."""

    outputs: Tensor
    slopes: Tensor


class Adjoint(NamedTuple):
    """a~ and h~ (tasks, packed, H)."""

    projected: Tensor
    outputs: Tensor

    @property
    def recurrent(self) -> Tensor:
        """The same as ``projected``: W_ih x and W_hh h appear as a sum only."""
        return self.projected


class Tangent(NamedTuple):
    """h^ (tasks, packed, H)."""

    outputs: Tensor


@dataclass(frozen=True)
class Recurrence:
    """The hand-written passes; see base.Recurrence."""

    nonlinearity: Literal["tanh", "relu"]
    merged = True

    def forward(self, params: Params, projected: Tensor, steps: Steps, *, keep: bool) -> Trace:
        """h takes the place of a in ``projected``."""
        w_hh = contiguous(params["w_hh"].mT)  # (tasks, H, H)
        activate = torch.tanh_ if self.nonlinearity == "tanh" else torch.relu_
        before = None
        for h_t in steps.split(projected):
            if before is not None:
                h_t += times(continuing(before, h_t.shape[1]), w_hh)
            before = activate(h_t)
        if self.nonlinearity == "tanh":
            return Trace(projected, projected.square().neg_().add_(1))
        return Trace(projected, (projected > 0).to(projected))

    def adjoint(
        self, params: Params, trace: Trace, outputs: Tensor, steps: Steps, *, only_last: bool = False
    ) -> Adjoint:
        """h~ takes the place of dL/dh at fixed later steps in ``outputs``."""
        return _adjoint_scan(params, trace, Adjoint(torch.zeros_like(outputs), outputs), steps, only_last=only_last)

    def tangent(
        self, params: Params, trace: Trace, projected: Tensor, recurrent: Tensor | None, steps: Steps
    ) -> Tangent:
        """h^ takes the place of a^ at fixed h in ``projected``; ``recurrent`` is in it."""
        w_hh = contiguous(params["w_hh"].mT)
        before = None
        for h_t, slopes_t in zip(steps.split(projected), steps.split(trace.slopes), strict=True):
            if before is not None:
                h_t += times(continuing(before, h_t.shape[1]), w_hh)
            before = h_t.mul_(slopes_t)
        return Tangent(projected)

    def curvature(
        self, params: Params, trace: Trace, adjoint: Adjoint, tangent: Tangent, outputs: Tensor, steps: Steps
    ) -> Adjoint:
        """The derivative of :meth:`adjoint`; ``outputs`` is overwritten as there."""
        change = torch.zeros_like(outputs)
        if self.nonlinearity == "tanh":
            torch.mul(trace.outputs, tangent.outputs, out=change).mul_(adjoint.outputs).mul_(-2)
        return _adjoint_scan(params, trace, Adjoint(change, outputs), steps)


def _adjoint_scan(params: Params, trace: Trace, begun: Adjoint, steps: Steps, *, only_last: bool = False) -> Adjoint:
    """Adds in place to what a~ and h~ begin with."""
    w_hh = contiguous(params["w_hh"])
    rows = map(steps.split, (begun.projected, begun.outputs, trace.slopes))
    after = None
    for a_t, h_t, slopes_t in reversed(list(zip(*rows, strict=True))):
        if after is not None:
            receive(h_t, times(after, w_hh), only=only_last)
        after = a_t.addcmul_(h_t, slopes_t)
    return begun
