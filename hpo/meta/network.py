"""Embedding (tokens only), stacked recurrent layers, linear head on the last output or on the mean of all.

Parameters are a flat dict: embedding (vocabulary, embedding_size), cell0.w_ih, ..., cell1.w_ih, ..., head.weight
(outputs, H), head.bias (outputs,). ``init`` gives them without a task axis, ``forward`` takes them with one in front.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from hpo.config.model import ModelConfig
from hpo.meta.cells import Cell, Params, cell_of
from hpo.meta.cells.base import affine, uniform
from hpo.meta.packing import Packing, pack
from hpo.meta.tasks.base import Classes, Episode, Features, TaskFamily, Tokens, Values


@dataclass(frozen=True)
class Sequences:
    """An episode's inputs, packed once for several forward passes.

    rows      (tasks, packed) tokens or (tasks, packed, features)
    packing   where the rows come from
    """

    rows: Tensor
    packing: Packing


@dataclass(frozen=True)
class Metrics:
    """How good predictions are: loss (tasks,), accuracy (tasks,) or None for regression."""

    loss: Tensor
    accuracy: Tensor | None


@dataclass(frozen=True)
class Network:
    """The model of one trial, for one family's inputs and outputs."""

    config: ModelConfig
    input: Tokens | Features
    output: Classes | Values

    @classmethod
    def of(cls, config: ModelConfig, family: TaskFamily) -> Network:
        """The network that ``config`` describes, for this family's tasks."""
        return cls(config, family.input, family.output)

    @property
    def cell(self) -> Cell:
        """The recurrent cell of every layer."""
        return cell_of(self.config)

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
        params["head.weight"] = uniform((self._outputs, hidden), hidden, generator, dtype)
        params["head.bias"] = uniform((self._outputs,), hidden, generator, dtype)
        return params

    def pack(self, episode: Episode) -> Sequences:
        """The episode's inputs in the layout that ``forward`` reads."""
        steps = episode.inputs.flatten(1, 2)  # (tasks, examples * time[, features])
        packing = pack(episode.lengths, episode.inputs.shape[2])
        index = packing.source if steps.ndim == 2 else packing.source.unsqueeze(2).expand(-1, -1, steps.shape[2])
        return Sequences(steps.gather(1, index), packing)

    def forward(self, params: Params, sequences: Sequences) -> Tensor:
        """Predictions (tasks, examples, outputs), examples in the episode's order; logits for classes."""
        outputs = sequences.rows
        for layer in range(self.config.layers):
            own = _layer(params, layer)
            projected = self._project_inputs(params, outputs) if layer == 0 else self.cell.project(own, outputs)
            outputs, _ = self.cell.scan(own, projected, sequences.packing.sizes, None)  # (tasks, packed, H)
        return affine(self._read_out(outputs, sequences.packing), params["head.weight"], params["head.bias"])

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

    def _read_out(self, outputs: Tensor, packing: Packing) -> Tensor:
        """What the head reads of outputs (tasks, packed, H): (tasks, examples, H)."""
        tasks, _, hidden = outputs.shape
        if self.config.readout == "last":
            return outputs.gather(1, packing.last.unsqueeze(2).expand(-1, -1, hidden))
        shares = outputs * packing.share.to(outputs.dtype).unsqueeze(2)
        sums = outputs.new_zeros(tasks, packing.last.shape[1], hidden)
        return sums.scatter_add(1, packing.example.unsqueeze(2).expand(-1, -1, hidden), shares)

    def _project_inputs(self, params: Params, rows: Tensor) -> Tensor:
        first = _layer(params, 0)
        if isinstance(self.input, Features):
            return self.cell.project(first, rows)
        table = params["embedding"]  # (tasks, vocabulary, embedding_size)
        if table.shape[1] <= rows.shape[1]:
            # Fewer different tokens than rows: projected once each, then looked up (12 % of a meta-iteration less).
            return _look_up(self.cell.project(first, table), rows)
        return self.cell.project(first, _look_up(table, rows))

    @property
    def _input_size(self) -> int:
        return self.config.embedding_size if isinstance(self.input, Tokens) else self.input.size

    @property
    def _outputs(self) -> int:
        return self.output.ways if isinstance(self.output, Classes) else self.output.size


def _layer(params: Params, layer: int) -> Params:
    prefix = f"cell{layer}."
    return {name.removeprefix(prefix): tensor for name, tensor in params.items() if name.startswith(prefix)}


def _look_up(table: Tensor, tokens: Tensor) -> Tensor:
    """Each task's own rows: table (tasks, vocabulary, size), tokens (tasks, packed) -> (tasks, packed, size)."""
    tasks, vocabulary, _ = table.shape
    offsets = torch.arange(tasks, device=tokens.device).unsqueeze(1) * vocabulary
    return F.embedding(tokens + offsets, table.flatten(0, 1))
