"""Recurrent cells with an explicit task axis; base.py says what a cell is."""

from __future__ import annotations

from functools import partial

import torch

from hpo.config.model import ModelConfig
from hpo.meta.cells import gru, lstm, rnn
from hpo.meta.cells.base import Cell, Params, State

CELLS: dict[str, Cell] = {
    "rnn_tanh": Cell(1, None, rnn.project, partial(rnn.scan, torch.tanh), rnn.Recurrence("tanh")),
    "rnn_relu": Cell(1, None, rnn.project, partial(rnn.scan, torch.relu), rnn.Recurrence("relu")),
    "gru": Cell(3, 1, gru.project, gru.scan, gru.Recurrence()),
    "lstm": Cell(4, 1, lstm.project, lstm.scan, lstm.Recurrence(), torch.lstm),
}

__all__ = ["CELLS", "Cell", "Params", "State", "cell_name", "cell_of"]


def cell_of(config: ModelConfig) -> Cell:
    """The cell that ``model.cell`` and, for the rnn, ``model.nonlinearity`` name."""
    return CELLS[cell_name(config)]


def cell_name(config: ModelConfig) -> str:
    """Its key in CELLS."""
    return f"rnn_{config.nonlinearity}" if config.cell == "rnn" else config.cell
