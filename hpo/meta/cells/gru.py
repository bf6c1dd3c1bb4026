"""The gated recurrent unit.

    r_t = sigma(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)               reset gate
    z_t = sigma(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)               update gate
    n_t = tanh(W_in x_t + b_in + r_t * (W_hn h_{t-1} + b_hn))        candidate
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}

Derivatives: x~ is dL/dx, x^ the derivative of x in a direction; products of vectors are elementwise. With m = W_hn
h_{t-1} + b_hn, and coefficients C computed in the forward scan:

    D = r (1 - r), z (1 - z), 1 - n^2                                of the activations
    C_n = dh_t/d(W_in x + b_in) = (1 - z) D_n
    C   = dh_t/d(r, z, m before activation) = m D_r C_n, (h_{t-1} - n) D_z, r C_n
    adjoint     h~_t += W_hh^T u~_{t+1} + z_{t+1} h~_{t+1}           u~_t += C_t h~_t      n~_t += C_n h~_t
    tangent     u^_t += W_hh h^_{t-1}                                h^_t = C_n n^_t + sum C_t u^_t + z_t h^_{t-1}
    curvature   the adjoint scan once more, begun with the change of its coefficients:
                h~^_t = z^_{t+1} h~_{t+1}                            u~^_t = C^_t h~_t     n~^_t = C_n^ h~_t

where u is what stands before the activations r and z, and m; n~ and n^ belong to W_in x + b_in.

Rows of the weights are in the order r, z, n. Source: Cho et al. 2014, arXiv:1406.1078, in the parametrization of
torch.nn.GRU (the reset gate acts after the product with W_hn, so that all of W_hh h is one product).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hpo.meta.cells.base import Params, State, affine, contiguous, running, times, zeros
from hpo.meta.cells.gates import add_product, slopes, split_gates
from hpo.meta.cells.steps import Steps, continuing


def project(params: Params, x: Tensor) -> Tensor:
    """W_ih x + b_ih; x (tasks, rows, features) -> (tasks, rows, 3 H)."""
    return affine(x, params["w_ih"], params["b_ih"])


def scan(params: Params, projected: Tensor, sizes: Sequence[int], state: State | None = None) -> tuple[Tensor, State]:
    """Outputs (tasks, packed, H) and state (h,); see Cell."""
    hidden = params["w_hh"].shape[2]
    state = state or zeros(1, params, sizes[0])
    outputs = []
    for x in projected.split_with_sizes(list(sizes), dim=1):  # (tasks, n_t, 3 H)
        (h,) = running(state, x.shape[1])
        x_rz, x_n = x.split_with_sizes((2 * hidden, hidden), dim=2)
        h_rz, h_n = affine(h, params["w_hh"], params["b_hh"]).split_with_sizes((2 * hidden, hidden), dim=2)
        r, z = (x_rz + h_rz).sigmoid().chunk(2, dim=2)
        n = torch.addcmul(x_n, r, h_n).tanh()
        h = torch.lerp(n, h, z)
        state = (h,)
        outputs.append(h)
    return torch.cat(outputs, dim=1), state


class Trace(NamedTuple):
    """A forward pass over (tasks, packed) rows: gates r, z, n and C (3, H), others (H); ``products`` is m."""

    outputs: Tensor
    gates: Tensor
    products: Tensor
    by_gates: Tensor
    by_candidate: Tensor


class Adjoint(NamedTuple):
    """u~ (tasks, packed, 3, H), n~ and h~ (tasks, packed, H)."""

    gates: Tensor
    candidate: Tensor
    outputs: Tensor

    @property
    def projected(self) -> Tensor:
        """By W_ih x + b_ih, (tasks, packed, 3 H)."""
        return torch.cat([self.gates[:, :, :2].flatten(2), self.candidate], dim=2)

    @property
    def recurrent(self) -> Tensor:
        """By W_hh h + b_hh, (tasks, packed, 3 H)."""
        return self.gates.flatten(2)


class Tangent(NamedTuple):
    """u^ (tasks, packed, 3, H), n^ and h^ (tasks, packed, H)."""

    gates: Tensor
    candidate: Tensor
    outputs: Tensor


class Recurrence:
    """The hand-written passes; see base.Recurrence."""

    merged = False

    def forward(self, params: Params, projected: Tensor, steps: Steps) -> Trace:
        """r, z, n take the place of W_ih x + b_ih in ``projected``."""
        gates = split_gates(projected, 3)
        h, products, by_candidate = (torch.empty_like(gates[:, :, 0]) for _ in range(3))
        trace = Trace(h, gates, products, torch.empty_like(gates), by_candidate)
        w_hh, b_hh = contiguous(params["w_hh"].mT), params["b_hh"].unsqueeze(1)  # (tasks, H, 3 H), (tasks, 1, 3 H)
        before = h.new_zeros(h.shape[0], steps.first, h.shape[2])
        for quantities in zip(*map(steps.split, trace), strict=True):
            step = Trace(*quantities)
            before = continuing(before, step.outputs.shape[1])
            before = _step(step, before, split_gates(times(before, w_hh).add_(b_hh), 3))
        return trace

    def adjoint(self, params: Params, trace: Trace, outputs: Tensor, steps: Steps, *, consume: bool) -> Adjoint:
        """h~ takes the place of dL/dh at fixed later steps in ``outputs``."""
        gates = trace.by_gates if consume else torch.empty_like(trace.gates)
        begun = Adjoint(gates, trace.by_candidate if consume else torch.empty_like(outputs), outputs)
        return _adjoint_scan(params, trace, begun, steps, torch.mul)

    def tangent(
        self, params: Params, trace: Trace, projected: Tensor, recurrent: Tensor | None, steps: Steps
    ) -> Tangent:
        """u^ takes the place of its part at fixed h in ``recurrent``."""
        assert recurrent is not None  # not merged
        gates, inputs = split_gates(recurrent, 3), split_gates(projected, 3)
        gates[:, :, :2].add_(inputs[:, :, :2])
        h = trace.by_candidate * inputs[:, :, 2]
        w_hh, z = contiguous(params["w_hh"].mT), trace.gates[:, :, 1]
        before = None
        for u, u_t, h_t, z_t, by_gates in zip(*map(steps.split, (recurrent, gates, h, z, trace.by_gates)), strict=True):
            if before is not None:
                before = continuing(before, u.shape[1])
                u += times(before, w_hh)
                h_t.addcmul_(z_t, before)
            for u_gate, by_gate in zip(u_t.unbind(2), by_gates.unbind(2), strict=True):
                h_t.addcmul_(u_gate, by_gate)
            before = h_t
        return Tangent(gates, inputs[:, :, 2], h)

    def curvature(
        self, params: Params, trace: Trace, adjoint: Adjoint, tangent: Tangent, outputs: Tensor, steps: Steps
    ) -> Adjoint:
        """The derivative of :meth:`adjoint`; ``outputs`` is overwritten as there."""
        by_activation = slopes(trace.gates)
        rates = by_activation[:, :, :2] * tangent.gates[:, :, :2]  # r^, z^
        by_gates, by_candidate = _changes(trace, tangent, by_activation, rates, steps)
        by_gates *= adjoint.outputs.unsqueeze(2)
        by_candidate *= adjoint.outputs
        steps.add_to_previous(outputs, steps.later(rates[:, :, 1] * adjoint.outputs))
        return _adjoint_scan(params, trace, Adjoint(by_gates, by_candidate, outputs), steps, add_product)


def _step(step: Trace, before: Tensor, recurrent: Tensor) -> Tensor:
    """Fills in one step, where W_ih x + b_ih stands for the gates; gives h. recurrent: W_hh h_{t-1} + b_hh by gate.

    The coefficients come from the products that are there, s (1 - s) x = s x - (s x) s, while these are in the cache.
    """
    r, z, n = step.gates.unbind(2)
    by_r, by_z, by_product = step.by_gates.unbind(2)
    step.gates[:, :, :2].add_(recurrent[:, :, :2]).sigmoid_()
    product = step.products.copy_(recurrent[:, :, 2])
    n.addcmul_(r, product).tanh_()
    slope = torch.mul(n, n).neg_().add_(1)
    torch.addcmul(slope, z, slope, value=-1, out=step.by_candidate)
    torch.mul(r, step.by_candidate, out=by_product)
    reset = by_product * product
    torch.addcmul(reset, reset, r, value=-1, out=by_r)
    kept = (before - n).mul_(z)
    torch.addcmul(kept, kept, z, value=-1, out=by_z)
    return torch.add(n, kept, out=step.outputs)


def _adjoint_scan(
    params: Params, trace: Trace, begun: Adjoint, steps: Steps, product: Callable[..., Tensor]
) -> Adjoint:
    """Overwrites (product = torch.mul) or adds to (add_product) what u~ and n~ begin with, and adds to h~."""
    w_hh, z = contiguous(params["w_hh"]), trace.gates[:, :, 1]
    quantities = (begun.recurrent, begun.gates, begun.outputs, z, trace.by_gates)
    after = None
    for u, u_t, h_t, z_t, by_gates in reversed(list(zip(*map(steps.split, quantities), strict=True))):
        if after is not None:
            u_after, h_after, z_after = after
            continuing(h_t, u_after.shape[1]).add_(times(u_after, w_hh)).addcmul_(z_after, h_after)
        product(by_gates, h_t.unsqueeze(2), out=u_t)
        after = u, h_t, z_t
    product(trace.by_candidate, begun.outputs, out=begun.candidate)
    return begun


def _changes(
    trace: Trace, tangent: Tangent, by_activation: Tensor, rates: Tensor, steps: Steps
) -> tuple[Tensor, Tensor]:
    """C^ (tasks, packed, 3, H) and C_n^ (tasks, packed, H); ``rates`` r^ and z^."""
    r, z, n = trace.gates.unbind(2)
    slope_r, slope_z, slope_n = by_activation.unbind(2)
    product = tangent.gates[:, :, 2]
    rate_r, rate_z = rates.unbind(2)
    rate_n = torch.addcmul(tangent.candidate, r, product).addcmul_(rate_r, trace.products).mul_(slope_n)  # n^
    by_candidate = torch.mul(n, z - 1).mul_(rate_n).mul_(2).addcmul_(rate_z, slope_n, value=-1)
    change = torch.empty_like(trace.gates)
    change_r, change_z, change_product = change.unbind(2)
    # C_r^ = (m^ D_r + m (1 - 2 r) r^) C_n + m D_r C_n^
    torch.mul(rate_r, trace.products, out=change_r).addcmul_(r, change_r, value=-2).addcmul_(product, slope_r)
    change_r.mul_(trace.by_candidate).addcmul_(trace.products * slope_r, by_candidate)
    # C_z^ = (h^_{t-1} - n^) D_z + (h_{t-1} - n) (1 - 2 z) z^
    torch.sub(_before(trace.outputs, steps), n, out=change_z).mul_(rate_z).addcmul_(z, change_z, value=-2)
    change_z.addcmul_(rate_n, slope_z, value=-1)
    steps.later(change_z).addcmul_(steps.previous(tangent.outputs), steps.later(slope_z))
    torch.mul(rate_r, trace.by_candidate, out=change_product).addcmul_(r, by_candidate)
    return change, by_candidate


def _before(h: Tensor, steps: Steps) -> Tensor:
    """h_{t-1}."""
    before = torch.zeros_like(h)
    steps.later(before).copy_(steps.previous(h))
    return before
