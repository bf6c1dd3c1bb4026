"""Embedding (tokens only), stacked recurrent layers, linear head on the last output or on the mean of all.

Parameters are a flat dict: embedding (vocabulary, embedding_size), cell0.w_ih, ..., cell1.w_ih, ..., head.weight
(outputs, H), head.bias (outputs,). ``init`` gives them without a task axis, ``forward`` takes them with one in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from hpo.config.model import ModelConfig
from hpo.meta.cells import Cell, Params, cell_of
from hpo.meta.cells.base import PARAMETERS, affine, uniform
from hpo.meta.embedding import LookUp
from hpo.meta.packing import Packing, pack
from hpo.meta.read_out import ReadOut
from hpo.meta.tasks.base import Classes, Episode, Features, Tokens, Values


class Shaped(Protocol):
    """What says of tasks what goes in and what comes out: a task family, or an exported learner's note of it."""

    @property
    def input(self) -> Tokens | Features:
        """What sequences are of."""

    @property
    def output(self) -> Classes | Values:
        """What targets are."""


@dataclass(frozen=True)
class Sequences:
    """An episode's inputs, packed once for several forward passes.

    rows      (tasks, packed) tokens or (tasks, packed, features)
    packing   where the rows come from
    """

    rows: Tensor
    packing: Packing

    def chunk(self, n: int) -> list[Sequences]:
        """At most ``n`` parts of about equal size, split along the tasks."""
        parts = zip(self.rows.chunk(n), self.packing.chunk(n), strict=True)
        return [Sequences(rows, packing) for rows, packing in parts]


@dataclass(frozen=True)
class Metrics:
    """How good predictions are: loss (tasks,), accuracy (tasks,) or None for regression."""

    loss: Tensor
    accuracy: Tensor | None

    @classmethod
    def join(cls, parts: Sequence[Metrics]) -> Metrics:
        """Of the tasks of all parts."""
        accuracies = [part.accuracy for part in parts if part.accuracy is not None]
        return cls(torch.cat([part.loss for part in parts]), torch.cat(accuracies) if accuracies else None)

    def split(self, tasks: int) -> list[Metrics]:
        """Parts of so many tasks."""
        losses = self.loss.view(-1, tasks)
        accuracies = [None] * len(losses) if self.accuracy is None else self.accuracy.view(-1, tasks)
        return [Metrics(loss, accuracy) for loss, accuracy in zip(losses, accuracies, strict=True)]


@dataclass(frozen=True)
class Network:
    """The model of one trial, for one family's inputs and outputs."""

    config: ModelConfig
    input: Tokens | Features
    output: Classes | Values

    @classmethod
    def of(cls, config: ModelConfig, family: Shaped) -> Network:
        """The network that ``config`` describes, for tasks of this shape."""
        return cls(config, family.input, family.output)

    @property
    def cell(self) -> Cell:
        """The recurrent cell of every layer."""
        return cell_of(self.config)

    @property
    def names(self) -> list[str]:
        """Of the parameters, in their order."""
        cells = [f"cell{layer}.{name}" for layer in range(self.config.layers) for name in PARAMETERS]
        return ["embedding"] * isinstance(self.input, Tokens) + cells + ["head.weight", "head.bias"]

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """Fresh parameters on the CPU, initialized as torch.nn's Embedding and Linear and Cell.init are."""
        hidden = self.config.hidden_size
        params: Params = {}
        if isinstance(self.input, Tokens):
            table = (self.input.vocabulary, self.config.embedding_size)
            params["embedding"] = torch.empty(table, dtype=dtype).normal_(generator=generator)
        for layer in range(self.config.layers):
            fresh = self.cell.init(hidden if layer else self._input_size, hidden, generator, dtype)
            params |= {f"cell{layer}.{name}": tensor for name, tensor in fresh.items()}
        params["head.weight"] = uniform((self.outputs, hidden), hidden, generator, dtype)
        params["head.bias"] = uniform((self.outputs,), hidden, generator, dtype)
        return params

    def pack(self, episode: Episode, *, dense: bool | None = None) -> Sequences:
        """The episode's inputs in the layout that ``forward`` reads; ``dense`` as in packing.py."""
        packing = pack(episode.lengths, episode.inputs.shape[2], dense=dense)
        steps = episode.inputs.flatten(1, 2)  # (tasks, examples * time[, features])
        tasks, count = steps.shape[:2]
        index = packing.source + torch.arange(0, tasks * count, count, device=steps.device).unsqueeze(1)
        rows = steps.flatten(0, 1).index_select(0, index.flatten())  # whole rows: a third of gather's time
        return Sequences(rows.view(*index.shape, *rows.shape[1:]), packing)

    def forward(self, params: Params, sequences: Sequences) -> Tensor:
        """Predictions (tasks, examples, outputs), examples in the episode's order; logits for classes."""
        outputs = sequences.rows
        for layer in range(self.config.layers):
            own = layer_parameters(params, layer)
            projected = self._project_inputs(params, outputs) if layer == 0 else self.cell.project(own, outputs)
            outputs, _ = self.cell.scan(own, projected, sequences.packing.steps.sizes, None)  # (tasks, packed, H)
        read = ReadOut(self.config.readout, sequences.packing)(outputs)
        return affine(read, params["head.weight"], params["head.bias"])

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy or mean squared error, averaged over each task's examples: (tasks,)."""
        if isinstance(self.output, Values):
            return (predictions - targets).square().mean(dim=(1, 2))
        losses = F.cross_entropy(predictions.flatten(0, 1), targets.flatten(), reduction="none")
        return losses.view(targets.shape).mean(dim=1)

    def metrics(self, predictions: Tensor, targets: Tensor) -> Metrics:
        """Loss and, for classes, the share of examples where the largest logit is the target's."""
        loss = self.loss(predictions, targets).detach()
        if isinstance(self.output, Values):
            return Metrics(loss, None)
        return Metrics(loss, (predictions.argmax(dim=2) == targets).to(loss.dtype).mean(dim=1))

    def _project_inputs(self, params: Params, rows: Tensor) -> Tensor:
        first = layer_parameters(params, 0)
        if isinstance(self.input, Features):
            return self.cell.project(first, rows)
        table, look_up = params["embedding"], LookUp(rows, params["embedding"].shape[1])
        if look_up.late:
            return look_up.rows(self.cell.project(first, table))
        return self.cell.project(first, look_up.rows(table))

    @property
    def _input_size(self) -> int:
        return self.config.embedding_size if isinstance(self.input, Tokens) else self.input.size

    @property
    def outputs(self) -> int:
        """Predicted numbers for an example."""
        return self.output.ways if isinstance(self.output, Classes) else self.output.size


def layer_parameters(params: Params, layer: int) -> Params:
    """The cell's own, by the names that it knows them by."""
    prefix = f"cell{layer}."
    return {name.removeprefix(prefix): tensor for name, tensor in params.items() if name.startswith(prefix)}
