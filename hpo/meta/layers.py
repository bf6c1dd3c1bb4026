"""Layers beside a network's own that learners add to it, with parameters that all tasks share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from hpo.meta.cells import Cell, Params, State
from hpo.meta.cells.base import uniform


@dataclass(frozen=True)
class Recurrent:
    """A recurrent layer; its parameters are called ``name.w_ih`` and so on."""

    name: str
    cell: Cell
    inputs: int
    hidden: int

    def init(self, generator: torch.Generator, dtype: torch.dtype) -> Params:
        """Fresh parameters on the CPU."""
        fresh = self.cell.init(self.inputs, self.hidden, generator, dtype)
        return {f"{self.name}.{name}": tensor for name, tensor in fresh.items()}

    def __call__(self, params: Params, rows: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """rows (sequences, steps, inputs) -> outputs (sequences, steps, H) and the state after the last step.

        A state is a tuple of (sequences, H); None stands for zeros.
        """
        sequences, steps, _ = rows.shape
        own = {name: tensor.unsqueeze(0) for name, tensor in self._own(params).items()}
        projected = self.cell.project(own, rows.transpose(0, 1).flatten(0, 1).unsqueeze(0))  # (1, steps sequences, G H)
        before = None if state is None else tuple(part.unsqueeze(0) for part in state)
        outputs, after = self.cell.scan(own, projected, [sequences] * steps, before)
        return outputs.view(steps, sequences, -1).transpose(0, 1), tuple(part.squeeze(0) for part in after)

    def _own(self, params: Params) -> Params:
        prefix = f"{self.name}."
        return {name.removeprefix(prefix): tensor for name, tensor in params.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class Linear:
    """An affine map; its parameters are ``name.weight`` and ``name.bias``."""

    name: str
    inputs: int
    outputs: int

    def init(self, generator: torch.Generator, dtype: torch.dtype) -> Params:
        """Fresh parameters on the CPU, as torch.nn.Linear's."""
        return {
            f"{self.name}.weight": uniform((self.outputs, self.inputs), self.inputs, generator, dtype),
            f"{self.name}.bias": uniform((self.outputs,), self.inputs, generator, dtype),
        }

    def __call__(self, params: Params, rows: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return F.linear(rows, params[f"{self.name}.weight"], params[f"{self.name}.bias"])
