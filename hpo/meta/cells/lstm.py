"""Long short-term memory.

    a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh                      rows in the order i, f, g, o
    i_t, f_t, o_t = sigma(a_t[i]), sigma(a_t[f]), sigma(a_t[o])      input, forget and output gate
    g_t = tanh(a_t[g])                                               candidate
    c_t = f_t * c_{t-1} + i_t * g_t                                  cell state
    h_t = o_t * tanh(c_t)                                            output

Derivatives: x~ is dL/dx, x^ the derivative of x in a direction; products of vectors are elementwise. The coefficients
A and E are computed in the forward scan and shared by the three others, which are linear:

    D = i (1 - i), f (1 - f), 1 - g^2, o (1 - o)                     of the activations
    A[i], A[f], A[g] = dc_t/da_t = D_i g, D_f c_{t-1}, D_g i         A[o] = dh_t/da_t = D_o tanh(c)
    E = dh_t/dc_t = o (1 - tanh(c)^2)
    adjoint     h~_t += W_hh^T a~_{t+1}                              c~_t += E_t h~_t + f_{t+1} c~_{t+1}
                a~_t[i, f, g] += A_t c~_t                            a~_t[o] += A_t h~_t
    tangent     a^_t += W_hh h^_{t-1}                                c^_t = f_t c^_{t-1} + sum_{i,f,g} A_t a^_t
                h^_t = A_t[o] a^_t[o] + E_t c^_t
    curvature   the adjoint scan once more, begun with the change of its coefficients:
                c~^_t = E^_t h~_t + f^_{t+1} c~_{t+1}                a~^_t = A^_t c~_t, A^_t[o] h~_t
                A^ = A (1 - 2 sigma) a^ (g: -2 A g a^) + D_i g^, D_f c^_{t-1}, D_g i^, D_o tanh(c)^

Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, in the parametrization of torch.nn.LSTM.
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
    """W_ih x + b_ih + b_hh; x (tasks, rows, features) -> (tasks, rows, 4 H)."""
    return affine(x, params["w_ih"], params["b_ih"] + params["b_hh"])


def scan(params: Params, projected: Tensor, sizes: Sequence[int], state: State | None = None) -> tuple[Tensor, State]:
    """Outputs (tasks, packed, H) and state (h, c); see Cell."""
    w_hh = params["w_hh"].mT  # (tasks, H, 4 H)
    state = state or zeros(2, params, sizes[0])
    outputs = []
    for x in projected.split_with_sizes(list(sizes), dim=1):  # (tasks, n_t, 4 H)
        h, c = running(state, x.shape[1])
        i, f, g, o = torch.baddbmm(x, h, w_hh).chunk(4, dim=2)
        c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
        h = o.sigmoid() * c.tanh()
        state = (h, c)
        outputs.append(h)
    return torch.cat(outputs, dim=1), state


@dataclass(frozen=True)
class Trace:
    """What the adjoint needs of a forward pass over (tasks, packed) rows: A (4, H), the others (H)."""

    outputs: Tensor
    forget: Tensor
    by_gates: Tensor
    by_cells: Tensor


@dataclass(frozen=True)
class KeptTrace(Trace):
    """What all passes need: c and tanh(c) (H), i, f, g, o (4, H)."""

    cells: Tensor
    squashed: Tensor
    gates: Tensor


class _Step(NamedTuple):
    """Where forward writes a step: a (tasks, n_t, 4 H), the others (tasks, n_t, H); i, f, g, o are a's parts."""

    a: Tensor
    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    cells: Tensor
    squashed: Tensor
    by_i: Tensor
    by_f: Tensor
    by_g: Tensor
    by_o: Tensor
    by_cells: Tensor
    outputs: Tensor


class Adjoint(NamedTuple):
    """dL/da (tasks, packed, 4, H), dL/dh and dL/dc (tasks, packed, H)."""

    gates: Tensor
    outputs: Tensor
    cells: Tensor

    @property
    def projected(self) -> Tensor:
        """dL/da as (tasks, packed, 4 H)."""
        return self.gates.flatten(2)

    @property
    def recurrent(self) -> Tensor:
        """The same: W_ih x and W_hh h appear as a sum only."""
        return self.projected


class Tangent(NamedTuple):
    """Directional derivatives a^ (tasks, packed, 4, H), h^ and c^ (tasks, packed, H)."""

    gates: Tensor
    outputs: Tensor
    cells: Tensor


class Recurrence:
    """The hand-written passes; see base.Recurrence."""

    merged = True

    def forward(self, params: Params, projected: Tensor, steps: Steps, *, keep: bool) -> Trace:
        """i, f, g, o take the place of a in ``projected``; A does where they are not kept."""
        gates = split_gates(projected, 4)
        trace, places = _kept(gates, steps) if keep or steps.at_once else _passing(gates, steps)
        w_hh = contiguous(params["w_hh"].mT)  # of 5 rows, a product with the transposed view takes twice as long
        minus_one = projected.new_full((), -1.0)
        h = c = None
        for x, forget, step in zip(steps.split(projected), steps.split(trace.forget), places, strict=True):
            if h is None or c is None:
                step.a.copy_(x)
            else:
                h, c = continuing(h, x.shape[1]), continuing(c, x.shape[1])
                torch.add(x, times(h, w_hh), out=step.a)
            written, kept = _activate(step, c, minus_one)
            if not steps.at_once:
                _coefficients(step, written, kept)
            if not isinstance(trace, KeptTrace):
                forget.copy_(step.f)
            h, c = step.outputs, step.cells
        if isinstance(trace, KeptTrace) and steps.at_once:
            i, f, g, _ = gates.unbind(2)
            kept = torch.zeros_like(trace.cells)
            torch.mul(steps.later(f), steps.previous(trace.cells), out=steps.later(kept))
            _coefficients(_places(trace), i * g, kept)
        return trace

    def adjoint(
        self, params: Params, trace: Trace, outputs: Tensor, steps: Steps, *, only_last: bool = False
    ) -> Adjoint:
        """h~ takes the place of dL/dh at fixed later steps in ``outputs``."""
        gates = torch.empty_like(trace.by_gates) if isinstance(trace, KeptTrace) else trace.by_gates
        begun = Adjoint(gates, outputs, torch.empty_like(outputs))
        return _adjoint_scan(params, trace, begun, steps, torch.mul, only_last=only_last)

    def tangent(
        self, params: Params, trace: KeptTrace, projected: Tensor, recurrent: Tensor | None, steps: Steps
    ) -> Tangent:
        """a^ takes the place of its part at fixed h in ``projected``; ``recurrent`` is in it."""
        gates = split_gates(projected, 4)
        h, c = torch.empty_like(trace.outputs), torch.empty_like(trace.cells)
        w_hh = contiguous(params["w_hh"].mT)
        by_gates = trace.by_gates.unbind(2)
        rows = (projected, *gates.unbind(2), h, c, trace.forget, *by_gates, trace.by_cells)
        before = None
        for a, a_i, a_f, a_g, a_o, h_t, c_t, f_t, by_i, by_f, by_g, by_o, by_cells in zip(
            *map(steps.split, rows), strict=True
        ):
            if before is not None:
                h_before, c_before = (continuing(part, a.shape[1]) for part in before)
                a += times(h_before, w_hh)
            torch.mul(a_i, by_i, out=c_t).addcmul_(a_f, by_f).addcmul_(a_g, by_g)
            if before is not None:
                c_t.addcmul_(f_t, c_before)
            torch.mul(a_o, by_o, out=h_t).addcmul_(c_t, by_cells)
            before = h_t, c_t
        return Tangent(gates, h, c)

    def curvature(
        self, params: Params, trace: KeptTrace, adjoint: Adjoint, tangent: Tangent, outputs: Tensor, steps: Steps
    ) -> Adjoint:
        """The derivative of :meth:`adjoint`; ``outputs`` is overwritten as there."""
        by_activation = slopes(trace.gates)
        activations = by_activation * tangent.gates  # i^, f^, g^, o^
        by_gates = _change_of_gates(trace, tangent, by_activation, activations, steps)
        to_cells = one_by_one(by_gates[:, :, :3], steps)
        times_each(torch.mul, to_cells, adjoint.cells, to_cells)
        by_gates[:, :, 3].mul_(adjoint.outputs)
        cells = _change_of_cells(trace, tangent, activations).mul_(adjoint.outputs)
        steps.add_to_previous(cells, steps.later(activations[:, :, 1] * adjoint.cells))
        return _adjoint_scan(params, trace, Adjoint(by_gates, outputs, cells), steps, add_product)


def _kept(gates: Tensor, steps: Steps) -> tuple[Trace, Iterable[_Step]]:
    """A trace for all passes, its gates in the place of a (tasks, packed, 4, H)."""
    h, c, squashed, by_cells = (torch.empty_like(gates[:, :, 0]) for _ in range(4))
    trace = KeptTrace(h, gates[:, :, 1], torch.empty_like(gates), by_cells, c, squashed, gates)
    return trace, map(_Step, *map(steps.split, _places(trace)))


def _places(trace: KeptTrace) -> _Step:
    """Of all steps."""
    a, (i, f, g, o) = trace.gates.flatten(2), trace.gates.unbind(2)
    by_i, by_f, by_g, by_o = trace.by_gates.unbind(2)
    return _Step(a, i, f, g, o, trace.cells, trace.squashed, by_i, by_f, by_g, by_o, trace.by_cells, trace.outputs)


def _passing(gates: Tensor, steps: Steps) -> tuple[Trace, Iterable[_Step]]:
    """A trace for the adjoint, A in the place of a; what else there is of a step is written over that of the last."""
    h, forget, by_cells = (torch.empty_like(gates[:, :, 0]) for _ in range(3))
    now = torch.empty_like(gates[:, : steps.first])
    c, squashed = (torch.empty_like(now[:, :, 0]) for _ in range(2))
    passing = map(steps.first_rows, (now.flatten(2), *now.unbind(2), c, squashed))
    lasting = map(steps.split, (*gates.unbind(2), by_cells, h))
    return Trace(h, forget, gates, by_cells), map(_Step, *passing, *lasting)


def _activate(step: _Step, before: Tensor | None, minus_one: Tensor) -> tuple[Tensor, Tensor | None]:
    """Computes one step from its a; before: c_{t-1}, whose memory c_t may have. Gives i g and f c_{t-1}.

    tanh(a) = 2 sigma(2 a) - 1, as one sigma of all gates takes half the time of torch's tanh on every fourth part.
    """
    i, f, g, o = step.i, step.f, step.g, step.o
    torch.add(g, g, out=g)
    step.a.sigmoid_()
    torch.add(minus_one, g, alpha=2, out=g)
    written = i * g
    kept = None if before is None else f * before
    if kept is None:
        step.cells.copy_(written)
    else:
        torch.add(written, kept, out=step.cells)
    torch.mul(o, torch.tanh(step.cells, out=step.squashed), out=step.outputs)
    return written, kept


def _coefficients(step: _Step, written: Tensor, kept: Tensor | None) -> None:
    """A and E from the products that are there: s (1 - s) x = s x - (s x) s."""
    i, f, g, o, h = step.i, step.f, step.g, step.o, step.outputs
    torch.addcmul(written, written, i, value=-1, out=step.by_i)
    torch.addcmul(i, written, g, value=-1, out=step.by_g)
    if kept is None:
        step.by_f.zero_()
    else:
        torch.addcmul(kept, kept, f, value=-1, out=step.by_f)
    torch.addcmul(h, h, o, value=-1, out=step.by_o)
    torch.addcmul(o, h, step.squashed, value=-1, out=step.by_cells)


def _adjoint_scan(
    params: Params,
    trace: Trace,
    begun: Adjoint,
    steps: Steps,
    product: Callable[..., Tensor],
    *,
    only_last: bool = False,
) -> Adjoint:
    """Overwrites (product = torch.mul) or adds to (add_product) what a~ and c~ begin with, and adds to h~."""
    w_hh = contiguous(params["w_hh"])
    to_cells, coefficients = (step_by_step(gates[:, :, :3], steps) for gates in (begun.gates, trace.by_gates))
    to_outputs = (begun.gates[:, :, 3], trace.by_gates[:, :, 3])
    rows = (begun.projected, begun.outputs, begun.cells, trace.forget, trace.by_cells, *to_outputs)
    after = None
    for (a, h_t, c_t, f_t, by_cells, a_o, by_o), a_c, by_c in reversed(
        list(zip(zip(*map(steps.split, rows), strict=True), to_cells, coefficients, strict=True))
    ):
        if after is not None:
            a_after, _, _ = after
            receive(h_t, times(a_after, w_hh), only=only_last)
        product(h_t, by_cells, out=c_t)
        if after is not None:
            _, c_after, f_after = after
            continuing(c_t, c_after.shape[1]).addcmul_(f_after, c_after)
        times_each(product, by_c, c_t, a_c)
        product(by_o, h_t, out=a_o)
        after = a, c_t, f_t
    return begun


def _change_of_gates(
    trace: KeptTrace, tangent: Tangent, by_activation: Tensor, activations: Tensor, steps: Steps
) -> Tensor:
    """A^ (tasks, packed, 4, H)."""
    i, f, g, o = trace.gates.unbind(2)
    change = trace.by_gates * tangent.gates
    change_i, change_f, change_g, change_o = change.unbind(2)
    for part, gate in ((change_i, i), (change_f, f), (change_o, o)):
        part.addcmul_(part, gate, value=-2)
    change_g.mul_(g).mul_(-2)
    slope_i, slope_f, slope_g, slope_o = by_activation.unbind(2)
    change_i.addcmul_(slope_i, activations[:, :, 2])
    steps.later(change_f).addcmul_(steps.later(slope_f), steps.previous(tangent.cells))
    change_g.addcmul_(slope_g, activations[:, :, 0])
    squashed = torch.addcmul(tangent.cells, trace.squashed.square(), tangent.cells, value=-1)  # tanh(c)^
    change_o.addcmul_(slope_o, squashed)
    return change


def _change_of_cells(trace: KeptTrace, tangent: Tangent, activations: Tensor) -> Tensor:
    """E^ = (1 - tanh(c)^2) (o^ - 2 o tanh(c) c^), (tasks, packed, H)."""
    inner = torch.mul(trace.gates[:, :, 3], trace.squashed).mul_(tangent.cells)
    inner = torch.add(activations[:, :, 3], inner, alpha=-2)
    return inner.addcmul_(trace.squashed.square(), inner, value=-1)
