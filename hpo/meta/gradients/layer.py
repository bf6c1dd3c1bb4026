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
from hpo.meta.cells.base import Adjoint, Cell, Recurrence
from hpo.meta.cells.steps import Steps
from hpo.meta.embedding import LookUp


@dataclass(frozen=True)
class Forward:
    """A layer's inputs, and the trace of its cell's scan over them."""

    x: Tensor
    trace: Any
    steps: Steps

    @cached_property
    def before(self) -> Tensor:
        """h_{t-1} of all rows but the first step's, where it is 0."""
        return self.steps.previous(self.trace.outputs)


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

    def forward(self, params: Params, x: Tensor) -> Forward:
        """Over all steps."""
        projected = self._rows(self.cell.project(params, x))
        return Forward(x, self.scans.forward(params, projected.contiguous(), self.steps), self.steps)

    def adjoint(self, params: Params, forward: Forward, outputs: Tensor, *, consume: bool) -> Backward:
        """From outputs (tasks, packed, H), dL/dh as it is read by others; overwritten. consume: see Recurrence."""
        return self._backward(self.scans.adjoint(params, forward.trace, outputs, self.steps, consume=consume))

    def gradient(self, forward: Forward, backward: Backward) -> Params:
        """By the layer's own parameters."""
        b_ih = backward.projected.sum(dim=1)
        return {
            "w_ih": backward.projected.mT @ forward.x,
            "w_hh": backward.recurrent.mT @ forward.before,
            "b_ih": b_ih,
            "b_hh": b_ih.clone() if self.scans.merged else backward.adjoint.recurrent.sum(dim=1),
        }

    def inputs(self, params: Params, backward: Backward) -> Tensor:
        """dL/dx, like x."""
        return backward.projected @ params["w_ih"]

    def tangent(self, params: Params, direction: Params | None, forward: Forward, x: Tensor | None) -> Any:
        """In the direction of the layer's parameters and of its inputs, by ``x``; what is None stays as it is."""
        along = None if direction is None else direction["w_ih"]
        projected = self._rows(_product_rule(forward.x, x, params["w_ih"], along))
        if direction is None:
            recurrent = None if self.scans.merged else torch.zeros_like(projected)
            return self.scans.tangent(params, forward.trace, projected.contiguous(), recurrent, self.steps)
        projected = projected + direction["b_ih"].unsqueeze(1)
        recurrent = projected if self.scans.merged else torch.zeros_like(projected)
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
            return self.adjoint(params, forward, outputs, consume=False)
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

    def _backward(self, adjoint: Adjoint) -> Backward:
        projected = adjoint.projected
        return Backward(adjoint, projected if self.look_up is None else self.look_up.sums(projected), self.steps)

    def _rows(self, x: Tensor) -> Tensor:
        return x if self.look_up is None else self.look_up.rows(x)


def _product_rule(x: Tensor, x_tangent: Tensor | None, weight: Tensor, direction: Tensor | None) -> Tensor:
    """The derivative of W x: (tasks, rows, features), (tasks, out, features) -> (tasks, rows, out)."""
    if x_tangent is None:
        assert direction is not None  # otherwise the layer has no tangent
        return x @ direction.mT
    change = x_tangent @ weight.mT
    return change if direction is None else change.baddbmm_(x, direction.mT)
