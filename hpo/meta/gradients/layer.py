"""One recurrent layer around its cell's scans: all products that do not depend on the step before.

x (tasks, rows, features) stands for a layer's inputs. Where it is an embedding table that is looked up late, its rows
are tokens, and a LookUp leads from them to the packed rows and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.cells.base import Adjoint, Cell, Recurrence, shared, times
from hpo.meta.cells.steps import Steps
from hpo.meta.embedding import LookUp


@dataclass(frozen=True)
class Forward:
    """A layer's inputs, and the trace of its cell's scan over them."""

    x: Tensor
    trace: Any
    steps: Steps

    @property
    def outputs(self) -> Tensor:
        """h (tasks, packed, H)."""
        outputs: Tensor = self.trace.outputs
        return outputs

    @cached_property
    def before(self) -> Tensor:
        """h_{t-1} of all rows but the first step's, where it is 0."""
        return self.steps.previous(self.outputs)


@dataclass(frozen=True)
class Backward:
    """The adjoint of a scan; ``projected`` is dL/d(W_ih x + b_ih) over the rows of x, not the packed ones."""

    adjoint: Adjoint
    projected: Tensor
    steps: Steps

    @cached_property
    def recurrent(self) -> Tensor:
        """By W_hh h + b_hh, for the rows of :attr:`Forward.before`."""
        return self.steps.later(self.adjoint.recurrent)


@dataclass(frozen=True)
class Layer:
    """A cell over the rows of one packing; ``look_up`` where x is a table that is looked up late."""

    cell: Cell
    steps: Steps
    look_up: LookUp | None = None

    @property
    def scans(self) -> Recurrence:
        """The cell's passes."""
        assert self.cell.recurrence is not None  # the rule in gradients/__init__.py
        return self.cell.recurrence

    def forward(self, params: Params, x: Tensor, *, keep: bool) -> Forward:
        """Over all steps; keep: see Recurrence."""
        x = with_ones(x)
        projected = self._rows(times(x, self._projection(params).mT)).contiguous()
        return Forward(x, self.scans.forward(params, projected, self.steps, keep=keep), self.steps)

    def adjoint(self, params: Params, forward: Forward, outputs: Tensor, *, only_last: bool = False) -> Backward:
        """From outputs (tasks, packed, H), dL/dh as it is read by others; overwritten. only_last: see Recurrence."""
        return self._backward(self.scans.adjoint(params, forward.trace, outputs, self.steps, only_last=only_last))

    def gradient(self, forward: Forward, backward: Backward) -> Params:
        """By the layer's own parameters."""
        by_projection = backward.projected.mT @ forward.x
        b_ih = by_projection[:, :, -1]
        return {
            "w_ih": by_projection[:, :, :-1],
            "w_hh": backward.recurrent.mT @ forward.before,
            "b_ih": b_ih,
            "b_hh": b_ih.clone() if self.scans.merged else backward.adjoint.recurrent.sum(dim=1),
        }

    def inputs(self, params: Params, backward: Backward) -> Tensor:
        """dL/dx, like x."""
        return backward.projected @ params["w_ih"]

    def tangent(self, params: Params, direction: Params | None, forward: Forward, x: Tensor | None) -> Any:
        """In the direction of the layer's parameters and of its inputs, by ``x``; what is None stays as it is."""
        projected = self._rows(self._change_of_projected(params, direction, forward, x)).contiguous()
        recurrent = projected if self.scans.merged else torch.zeros_like(projected)
        if direction is not None:
            if not self.scans.merged:
                recurrent += direction["b_hh"].unsqueeze(1)
            self.steps.later(recurrent).baddbmm_(forward.before, direction["w_hh"].mT)
        apart = None if self.scans.merged else recurrent
        return self.scans.tangent(params, forward.trace, projected, apart, self.steps)

    def curvature(
        self,
        params: Params,
        direction: Params | None,
        forward: Forward,
        backward: Backward | None,
        tangent: Any | None,
        outputs: Tensor,
    ) -> Backward:
        """The derivative of :meth:`adjoint`; outputs (tasks, packed, H) is that of what it was given; overwritten.

        Without a tangent it is the adjoint itself, which is linear in what it is given.
        """
        if tangent is None or backward is None:
            return self.adjoint(params, forward, outputs)
        if direction is not None:
            self.steps.add_to_previous(outputs, backward.recurrent @ direction["w_hh"])
        scan = self.scans.curvature(params, forward.trace, backward.adjoint, tangent, outputs, self.steps)
        return self._backward(scan)

    def change_of_gradient(
        self, forward: Forward, x: Tensor | None, backward: Backward | None, tangent: Any | None, curvature: Backward
    ) -> Params:
        """The derivative of :meth:`gradient`."""
        change = self.gradient(forward, curvature)
        if backward is None or tangent is None:
            return change
        if x is not None:
            change["w_ih"].baddbmm_(backward.projected.mT, x)
        change["w_hh"].baddbmm_(backward.recurrent.mT, self.steps.previous(tangent.outputs))
        return change

    def change_of_inputs(
        self, params: Params, direction: Params | None, backward: Backward | None, curvature: Backward
    ) -> Tensor:
        """The derivative of :meth:`inputs`."""
        change = self.inputs(params, curvature)
        if direction is not None and backward is not None:
            change.baddbmm_(backward.projected, direction["w_ih"])
        return change

    def _projection(self, params: Params) -> Tensor:
        """W_ih with the bias as last column, (tasks, G H, features + 1); shared by the tasks if the parameters are."""
        names = ("w_ih", "b_ih", "b_hh") if self.scans.merged else ("w_ih", "b_ih")
        tasks, one = len(params["w_ih"]), all(shared(params[name]) for name in names)
        weight, bias, *others = (params[name][:1] if one else params[name] for name in names)
        return torch.cat([weight, sum(others, start=bias).unsqueeze(2)], dim=2).expand(tasks, -1, -1)

    def _change_of_projected(
        self, params: Params, direction: Params | None, forward: Forward, x: Tensor | None
    ) -> Tensor:
        """The derivative of what the cell projects the inputs to, (tasks, rows, G H)."""
        if direction is None:
            assert x is not None  # otherwise the layer has no tangent
            return x @ params["w_ih"].mT
        change = torch.bmm(forward.x, self._projection(direction).mT)
        return change if x is None else change.baddbmm_(x, params["w_ih"].mT)

    def _backward(self, adjoint: Adjoint) -> Backward:
        projected = adjoint.projected
        return Backward(adjoint, projected if self.look_up is None else self.look_up.sums(projected), self.steps)

    def _rows(self, x: Tensor) -> Tensor:
        return x if self.look_up is None else self.look_up.rows(x)


def with_ones(x: Tensor) -> Tensor:
    """x with a last column of ones, which makes the bias a weight.

    A meta-gradient takes 5 % to 15 % longer where the bias is spread over all rows, and its gradient summed over them.
    """
    return torch.cat([x, x.new_ones(()).expand(*x.shape[:2], 1)], dim=2)
