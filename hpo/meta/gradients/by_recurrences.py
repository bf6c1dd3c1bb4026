"""The hand-written derivatives of a network: the cells' passes, and what stands around them.

slope       forward through the layers, then the adjoints back, down to the lowest parameter that is asked for
curvature   Hessian times direction, forward over reverse (Pearlmutter 1994, "Fast exact multiplication by the
            Hessian"): the derivative of the slope's computation in the direction, a tangent pass forward and
            the derivatives of the adjoints back, down to all parameters
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.cells.base import affine
from hpo.meta.embedding import LookUp
from hpo.meta.gradients import losses
from hpo.meta.gradients.base import Slope
from hpo.meta.gradients.layer import Backward, Forward, Layer
from hpo.meta.network import Network, Sequences, layer_parameters
from hpo.meta.profile import component
from hpo.meta.read_out import ReadOut
from hpo.meta.tasks.base import Tokens, Values

_CACHED_UNITS = 512  # hidden units of all tasks at a time; all of 16 tasks take up to 20 % longer at H = 64..128


@dataclass(frozen=True)
class _Passed:
    """A layer after slope; its backward pass only if one was needed."""

    forward: Forward
    backward: Backward | None


@dataclass(frozen=True)
class _Trace:
    """read (tasks, examples, H); by_predictions dL/dp (tasks, examples, outputs)."""

    layers: list[_Passed]
    read: Tensor
    by_predictions: Tensor


@dataclass(frozen=True)
class _Change:
    """How what a layer reads and what it computes change in the direction; None where they do not."""

    x: Tensor | None
    tangent: Any | None


@dataclass(frozen=True)
class RecurrenceLoss:
    """Implements EpisodeLoss for the cells that have a Recurrence."""

    network: Network
    sequences: Sequences
    targets: Tensor

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return self.targets.shape[0]

    @torch.no_grad()
    def slope(self, params: Params, names: Collection[str], *, keep: bool) -> Slope:
        """See EpisodeLoss."""
        if keep or len(self._parts) == 1:
            return self._slope(params, names, keep=keep)
        begin, slopes = 0, []
        for part in self._parts:
            own = {name: tensor[begin : begin + part.tasks] for name, tensor in params.items()}
            slopes.append(part._slope(own, names, keep=False))
            begin += part.tasks
        return Slope.join(slopes)

    def _slope(self, params: Params, names: Collection[str], *, keep: bool) -> Slope:
        with component("forward"):
            layers = self._forward(params)
            read = self._read_out(layers[-1].forward.trace.outputs)
            predictions = affine(read, params["head.weight"], params["head.bias"])
            loss = self.network.loss(predictions, self.targets)
        by_predictions = self._loss_slope(predictions)
        with component("adjoint"):
            gradient = self._adjoints(params, names, layers, read, by_predictions, keep=keep)
        trace = _Trace(layers, read, by_predictions) if keep else None
        return Slope(loss, predictions, {name: gradient[name] for name in names}, trace)

    def _adjoints(
        self,
        params: Params,
        names: Collection[str],
        layers: list[_Passed],
        read: Tensor,
        by_predictions: Tensor,
        *,
        keep: bool,
    ) -> Params:
        """The gradient by all parameters from the lowest of ``names`` up; puts the adjoints into ``layers``."""
        gradient = _head_gradient(read, by_predictions)
        outputs = self._read_out.transpose(by_predictions @ params["head.weight"])
        lowest = self._lowest(names)
        for index in range(len(layers) - 1, max(lowest, 0) - 1, -1):
            layer, own, passed = self._layers[index], layer_parameters(params, index), layers[index]
            backward = layer.adjoint(own, passed.forward, outputs, consume=not keep)
            layers[index] = _Passed(passed.forward, backward)
            gradient |= _prefixed(layer.gradient(passed.forward, backward), index)
            if index > lowest:
                outputs = layer.inputs(own, backward)
        if lowest < 0:
            gradient["embedding"] = self._table(outputs)
        return gradient

    @torch.no_grad()
    def predict(self, params: Params) -> Tensor:
        """See EpisodeLoss."""
        return self.network.forward(params, self.sequences)

    @torch.no_grad()
    def curvature(self, params: Params, slope: Slope, direction: Params) -> Params:
        """See EpisodeLoss."""
        trace: _Trace = slope.trace
        directions = [_whole(direction, params, index) for index in range(len(trace.layers))]
        with component("tangent"):
            changes = self._tangents(params, trace, directions, direction.get("embedding"))
            product, outputs = self._head_curvature(params, slope, direction, changes[-1].x)
        with component("curvature"):
            for index in range(len(trace.layers) - 1, -1, -1):
                layer, own, passed = self._layers[index], layer_parameters(params, index), trace.layers[index]
                x, tangent, along = changes[index].x, changes[index].tangent, directions[index]
                curvature = layer.curvature(own, along, passed.forward, passed.backward, tangent, outputs)
                change = layer.change_of_gradient(passed.forward, x, passed.backward, tangent, curvature)
                product |= _prefixed(change, index)
                if index > 0 or "embedding" in params:
                    outputs = layer.change_of_inputs(own, along, passed.backward, curvature)
            if "embedding" in params:
                product["embedding"] = self._table(outputs)
        return product

    def _forward(self, params: Params) -> list[_Passed]:
        passed = []
        x = self._inputs(params.get("embedding"))
        for index, layer in enumerate(self._layers):
            forward = layer.forward(layer_parameters(params, index), x)
            passed.append(_Passed(forward, None))
            x = forward.trace.outputs
        return passed

    def _tangents(
        self, params: Params, trace: _Trace, directions: list[Params | None], table: Tensor | None
    ) -> list[_Change]:
        """Of each layer, and last of what the head reads."""
        changes = []
        x = None if table is None else self._inputs(table)
        for index, (passed, direction) in enumerate(zip(trace.layers, directions, strict=True)):
            if direction is None and x is None:
                changes.append(_Change(None, None))
                continue
            own = layer_parameters(params, index)
            tangent = self._layers[index].tangent(own, direction, passed.forward, x)
            changes.append(_Change(x, tangent))
            x = tangent.outputs
        return [*changes, _Change(x, None)]

    def _head_curvature(
        self, params: Params, slope: Slope, direction: Params, outputs: Tensor | None
    ) -> tuple[Params, Tensor]:
        """The head's part of the product, and the derivative of dL/dh (tasks, packed, H); ``outputs`` are h's."""
        trace: _Trace = slope.trace
        predictions = torch.zeros_like(slope.predictions)
        read = None if outputs is None else self._read_out(outputs)
        if read is not None:
            predictions.baddbmm_(read, params["head.weight"].mT)
        if (weight := direction.get("head.weight")) is not None:
            predictions.baddbmm_(trace.read, weight.mT)
        if (bias := direction.get("head.bias")) is not None:
            predictions += bias.unsqueeze(1)
        by_predictions = self._loss_curvature(slope.predictions, predictions)
        product = _head_gradient(trace.read, by_predictions)
        if read is not None:
            product["head.weight"].baddbmm_(trace.by_predictions.mT, read)
        by_read = by_predictions @ params["head.weight"]
        if weight is not None:
            by_read.baddbmm_(trace.by_predictions, weight)
        return product, self._read_out.transpose(by_read)

    def _inputs(self, table: Tensor | None) -> Tensor:
        """What the first layer reads: the features, the table, or its rows."""
        if self._look_up is None:
            return self.sequences.rows
        assert table is not None  # tokens have a table
        return table if self._look_up.late else self._look_up.rows(table)

    def _table(self, inputs: Tensor) -> Tensor:
        """The transpose of :meth:`_inputs`."""
        assert self._look_up is not None
        return inputs if self._look_up.late else self._look_up.sums(inputs)

    def _lowest(self, names: Collection[str]) -> int:
        """The lowest layer with one of these parameters; -1 for the embedding, the number of layers for the head."""
        return min(-1 if name == "embedding" else _layer_of(name, len(self._layers)) for name in names)

    @cached_property
    def _parts(self) -> list[RecurrenceLoss]:
        """Of as many tasks as use a CPU's cache well; a GPU wants all at once."""
        at_once = self.tasks if self.targets.is_cuda else max(1, _CACHED_UNITS // self.network.config.hidden_size)
        count = -(-self.tasks // at_once)
        parts = zip(self.sequences.chunk(count), self.targets.chunk(count), strict=True)
        return [self] if count == 1 else [RecurrenceLoss(self.network, own, targets) for own, targets in parts]

    @cached_property
    def _layers(self) -> list[Layer]:
        steps, cell = self.sequences.packing.steps, self.network.cell
        late = self._look_up if self._look_up is not None and self._look_up.late else None
        return [Layer(cell, steps, None if index else late) for index in range(self.network.config.layers)]

    @cached_property
    def _look_up(self) -> LookUp | None:
        tokens = self.network.input
        return LookUp(self.sequences.rows, tokens.vocabulary) if isinstance(tokens, Tokens) else None

    @cached_property
    def _read_out(self) -> ReadOut:
        return ReadOut(self.network.config.readout, self.sequences.packing)

    def _loss_slope(self, predictions: Tensor) -> Tensor:
        if isinstance(self.network.output, Values):
            return losses.squared_error_slope(predictions, self.targets)
        return losses.cross_entropy_slope(predictions, self.targets)

    def _loss_curvature(self, predictions: Tensor, tangent: Tensor) -> Tensor:
        if isinstance(self.network.output, Values):
            return losses.squared_error_curvature(predictions, tangent)
        return losses.cross_entropy_curvature(predictions, tangent)


def _head_gradient(read: Tensor, by_predictions: Tensor) -> Params:
    return {"head.weight": by_predictions.mT @ read, "head.bias": by_predictions.sum(dim=1)}


def _prefixed(own: Params, layer: int) -> Params:
    return {f"cell{layer}.{name}": tensor for name, tensor in own.items()}


def _layer_of(name: str, layers: int) -> int:
    return layers if name.startswith("head.") else int(name.removeprefix("cell").partition(".")[0])


def _whole(direction: Params, params: Params, layer: int) -> Params | None:
    """A layer's own direction, with zeros for the parameters that it lacks; None if it lacks all."""
    own = layer_parameters(direction, layer)
    if not own:
        return None
    return {name: own.get(name, torch.zeros_like(like)) for name, like in layer_parameters(params, layer).items()}
