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

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hpo.meta.cells.base import Params, State, affine, contiguous, running, times, zeros
from hpo.meta.cells.gates import add_product, one_by_one, slopes, split_gates, step_by_step, times_each
from hpo.meta.cells.steps import Steps, continuing, receive


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


@dataclass(frozen=True)
class Trace:
    """What the adjoint needs of a forward pass over (tasks, packed) rows: C (3, H), the others (H); update is z."""

    outputs: Tensor
    update: Tensor
    by_gates: Tensor
    by_candidate: Tensor


@dataclass(frozen=True)
class KeptTrace(Trace):
    """What all passes need: m (H), and r, z, n (3, H)."""

    products: Tensor
    gates: Tensor


class _Step(NamedTuple):
    """Where forward writes a step: u (tasks, n_t, 3, H), the others (tasks, n_t, H); r, z, n are u's parts."""

    u: Tensor
    r: Tensor
    z: Tensor
    n: Tensor
    products: Tensor
    by_r: Tensor
    by_z: Tensor
    by_product: Tensor
    by_candidate: Tensor
    outputs: Tensor


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

    def forward(self, params: Params, projected: Tensor, steps: Steps, *, keep: bool) -> Trace:
        """r, z, n take the place of W_ih x + b_ih in ``projected``; C does where they are not kept."""
        inputs = split_gates(projected, 3)
        trace, places = _kept(inputs, steps) if keep or steps.at_once else _passing(inputs, steps)
        w_hh, b_hh = contiguous(params["w_hh"].mT), params["b_hh"].unsqueeze(1)  # (tasks, H, 3 H), (tasks, 1, 3 H)
        h = trace.outputs.new_zeros(inputs.shape[0], steps.first, inputs.shape[3])
        for x, update, step in zip(steps.split(inputs), steps.split(trace.update), places, strict=True):
            h = continuing(h, x.shape[1])
            kept = _activate(step, x, h, split_gates(times(h, w_hh).add_(b_hh), 3))
            if not steps.at_once:
                _coefficients(step, kept)
            if not isinstance(trace, KeptTrace):
                update.copy_(step.z)
            h = step.outputs
        if isinstance(trace, KeptTrace) and steps.at_once:
            _coefficients(_places(trace), trace.outputs - trace.gates[:, :, 2])
        return trace

    def adjoint(
        self, params: Params, trace: Trace, outputs: Tensor, steps: Steps, *, only_last: bool = False
    ) -> Adjoint:
        """h~ takes the place of dL/dh at fixed later steps in ``outputs``."""
        kept = isinstance(trace, KeptTrace)
        gates = torch.empty_like(trace.by_gates) if kept else trace.by_gates
        candidate = torch.empty_like(outputs) if kept else trace.by_candidate
        return _adjoint_scan(params, trace, Adjoint(gates, candidate, outputs), steps, torch.mul, only_last=only_last)

    def tangent(
        self, params: Params, trace: KeptTrace, projected: Tensor, recurrent: Tensor | None, steps: Steps
    ) -> Tangent:
        """u^ takes the place of its part at fixed h in ``recurrent``."""
        assert recurrent is not None  # not merged
        gates, inputs = split_gates(recurrent, 3), split_gates(projected, 3)
        gates[:, :, :2].add_(inputs[:, :, :2])
        h = trace.by_candidate * inputs[:, :, 2]
        w_hh = contiguous(params["w_hh"].mT)
        rows = (recurrent, *gates.unbind(2), h, trace.update, *trace.by_gates.unbind(2))
        before = None
        for u, u_r, u_z, m, h_t, z_t, by_r, by_z, by_product in zip(*map(steps.split, rows), strict=True):
            if before is not None:
                before = continuing(before, u.shape[1])
                u += times(before, w_hh)
                h_t.addcmul_(z_t, before)
            before = h_t.addcmul_(u_r, by_r).addcmul_(u_z, by_z).addcmul_(m, by_product)
        return Tangent(gates, inputs[:, :, 2], h)

    def curvature(
        self, params: Params, trace: KeptTrace, adjoint: Adjoint, tangent: Tangent, outputs: Tensor, steps: Steps
    ) -> Adjoint:
        """The derivative of :meth:`adjoint`; ``outputs`` is overwritten as there."""
        by_activation = slopes(trace.gates)
        rates = by_activation[:, :, :2] * tangent.gates[:, :, :2]  # r^, z^
        by_gates, by_candidate = _changes(trace, tangent, by_activation, rates, steps)
        coefficients = one_by_one(by_gates, steps)
        times_each(torch.mul, coefficients, adjoint.outputs, coefficients)
        by_candidate *= adjoint.outputs
        steps.add_to_previous(outputs, steps.later(rates[:, :, 1] * adjoint.outputs))
        return _adjoint_scan(params, trace, Adjoint(by_gates, by_candidate, outputs), steps, add_product)


def _kept(inputs: Tensor, steps: Steps) -> tuple[Trace, Iterable[_Step]]:
    """A trace for all passes, its gates in the place of W_ih x + b_ih (tasks, packed, 3, H)."""
    h, products, by_candidate = (torch.empty_like(inputs[:, :, 0]) for _ in range(3))
    trace = KeptTrace(h, inputs[:, :, 1], torch.empty_like(inputs), by_candidate, products, inputs)
    return trace, map(_Step, *map(steps.split, _places(trace)))


def _places(trace: KeptTrace) -> _Step:
    """Of all steps."""
    (r, z, n), (by_r, by_z, by_product) = trace.gates.unbind(2), trace.by_gates.unbind(2)
    return _Step(trace.gates, r, z, n, trace.products, by_r, by_z, by_product, trace.by_candidate, trace.outputs)


def _passing(inputs: Tensor, steps: Steps) -> tuple[Trace, Iterable[_Step]]:
    """A trace for the adjoint, C in the place of W_ih x + b_ih; the gates of a step are written over the last one's."""
    h, update, by_candidate = (torch.empty_like(inputs[:, :, 0]) for _ in range(3))
    now = torch.empty_like(inputs[:, : steps.first])
    products = torch.empty_like(now[:, :, 0])
    passing = map(steps.first_rows, (now, *now.unbind(2), products))
    lasting = map(steps.split, (*inputs.unbind(2), by_candidate, h))
    return Trace(h, update, inputs, by_candidate), map(_Step, *passing, *lasting)


def _activate(step: _Step, inputs: Tensor, before: Tensor, recurrent: Tensor) -> Tensor:
    """Computes one step from W_ih x + b_ih and W_hh h_{t-1} + b_hh, (tasks, n_t, 3, H) both, and h_{t-1}.

    Gives h - n = z (h_{t-1} - n).
    """
    product = step.products.copy_(recurrent[:, :, 2])
    torch.add(inputs[:, :, :2], recurrent[:, :, :2], out=step.u[:, :, :2]).sigmoid_()
    n = torch.addcmul(inputs[:, :, 2], step.r, product).tanh_()  # of a part of the rows, tanh takes twice as long
    step.n.copy_(n)
    kept = (before - n).mul_(step.z)
    torch.add(n, kept, out=step.outputs)
    return kept


def _coefficients(step: _Step, kept: Tensor) -> None:
    """C from the products that are there: s (1 - s) x = s x - (s x) s."""
    r, z, n = step.r, step.z, step.n
    slope = torch.mul(n, n).neg_().add_(1)
    torch.addcmul(slope, z, slope, value=-1, out=step.by_candidate)
    torch.mul(r, step.by_candidate, out=step.by_product)
    reset = step.by_product * step.products
    torch.addcmul(reset, reset, r, value=-1, out=step.by_r)
    torch.addcmul(kept, kept, z, value=-1, out=step.by_z)


def _adjoint_scan(
    params: Params,
    trace: Trace,
    begun: Adjoint,
    steps: Steps,
    product: Callable[..., Tensor],
    *,
    only_last: bool = False,
) -> Adjoint:
    """Overwrites (product = torch.mul) or adds to (add_product) what u~ and n~ begin with, and adds to h~."""
    w_hh = contiguous(params["w_hh"])
    gates, coefficients = (step_by_step(each, steps) for each in (begun.gates, trace.by_gates))
    rows = (begun.recurrent, begun.outputs, trace.update)
    after = None
    for (u, h_t, z_t), u_t, by_gates in reversed(
        list(zip(zip(*map(steps.split, rows), strict=True), gates, coefficients, strict=True))
    ):
        if after is not None:
            u_after, h_after, z_after = after
            receive(h_t, times(u_after, w_hh).addcmul_(z_after, h_after), only=only_last)
        times_each(product, by_gates, h_t, u_t)
        after = u, h_t, z_t
    product(trace.by_candidate, begun.outputs, out=begun.candidate)
    return begun


def _changes(
    trace: KeptTrace, tangent: Tangent, by_activation: Tensor, rates: Tensor, steps: Steps
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
