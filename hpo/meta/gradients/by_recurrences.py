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
from hpo.meta.gradients.layer import Layer
from hpo.meta.network import Network, Sequences, layer_parameters
from hpo.meta.profile import component
from hpo.meta.read_out import ReadOut
from hpo.meta.tasks.base import Tokens

_CACHED_UNITS = 2**14  # of all examples at a time: of 16 tasks of 25, all together take 16 % longer at H = 128


@dataclass(frozen=True)
class _Passed:
    """A layer after slope; its backward pass only if one was needed."""

    forward: Any
    backward: Any | None


@dataclass(frozen=True)
class _Trace:
    """read (tasks, examples, H); by_predictions dL/dp (tasks, examples, outputs)."""

    layers: list[_Passed]
    read: Tensor
    by_predictions: Tensor


@dataclass(frozen=True)
class _Part:
    """What slope finds out about some of the tasks; the gradient by more parameters than were asked for."""

    predictions: Tensor
    gradient: Params
    trace: _Trace | None


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
        lowest = self._lowest(names)
        parts = [self] if keep else self._parts
        begin, found = 0, []
        for part in parts:
            own = {name: tensor[begin : begin + part.tasks] for name, tensor in params.items()}
            found.append(part._slope(own, lowest, keep=keep))
            begin += part.tasks
        predictions = _joined([part.predictions for part in found])
        gradient = {name: _joined([part.gradient[name] for part in found]) for name in names}
        return Slope(predictions, gradient, found[0].trace)

    def _slope(self, params: Params, lowest: int, *, keep: bool) -> _Part:
        with component("forward"):
            passed = self._forward(params, keep=keep)
            read = self._read_out(passed[-1].forward.outputs)
            predictions = affine(read, params["head.weight"], params["head.bias"])
        by_predictions = losses.slope(self.network.output, predictions, self._aims)
        with component("adjoint"):
            gradient = _head_gradient(read, by_predictions)
            outputs = self._read_out.transpose(by_predictions @ params["head.weight"], fill=False)
            gradient |= self._adjoints(params, lowest, passed, outputs)
        return _Part(predictions, gradient, _Trace(passed, read, by_predictions) if keep else None)

    def _adjoints(self, params: Params, lowest: int, passed: list[_Passed], outputs: Tensor) -> Params:
        """The gradient from the highest layer down to the ``lowest``; puts the adjoints into ``passed``.

        outputs (tasks, packed, H): dL/dh of what the head reads.
        """
        gradient: Params = {}
        only_last = self._read_out.only_last
        for index in range(len(self._layers) - 1, max(lowest, 0) - 1, -1):
            layer, own, forward = self._layers[index], layer_parameters(params, index), passed[index].forward
            backward = layer.adjoint(own, forward, outputs, only_last=only_last)
            passed[index] = _Passed(forward, backward)
            gradient |= _prefixed(layer.gradient(forward, backward), index)
            if index > lowest:
                outputs, only_last = layer.inputs(own, backward), False
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

    def _forward(self, params: Params, *, keep: bool) -> list[_Passed]:
        passed = []
        x = self._inputs(params.get("embedding"))
        for index, layer in enumerate(self._layers):
            forward = layer.forward(layer_parameters(params, index), x, keep=keep)
            passed.append(_Passed(forward, None))
            x = forward.outputs
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
        by_predictions = losses.curvature(self.network.output, slope.predictions, predictions)
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
        """Of about so many hidden units as a CPU's cache holds; a GPU wants all tasks at once."""
        each = self.targets.shape[1] * self.network.config.hidden_size
        count = 1 if self.targets.is_cuda else -(-self.tasks // max(1, _CACHED_UNITS // each))
        if count == 1:
            return [self]
        parts = zip(self.sequences.chunk(count), self.targets.chunk(count), strict=True)
        return [RecurrenceLoss(self.network, *part) for part in parts]

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
    def _aims(self) -> Tensor:
        return losses.aims(self.network.output, self.targets)

    @cached_property
    def _read_out(self) -> ReadOut:
        return ReadOut(self.network.config.readout, self.sequences.packing)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


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
