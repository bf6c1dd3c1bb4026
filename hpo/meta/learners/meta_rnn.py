"""A recurrent network that learns in its state (Hochreiter, Younger & Conwell 2001, doi:10.1007/3-540-44668-0_13).

The learning algorithm is the network's own dynamics: gradient descent on its weights, over many tasks, makes one that
learns a new task from the examples that it reads, without any weight changing (also Wang et al. 2016, arXiv:1611.05763,
of rewards in the place of labels). Here it is a layer of the cell that the embedding network has, with a linear head;
sequential.py says what it reads and when it predicts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hpo.config.learner import MetaRnnConfig
from hpo.meta.cells import Params, State
from hpo.meta.encoder import body
from hpo.meta.layers import Linear, Recurrent
from hpo.meta.learners.sequential import Sequential
from hpo.meta.network import Network


class MetaRnn(Sequential):
    """See the module."""

    def __init__(self, config: MetaRnnConfig, network: Network) -> None:
        super().__init__(config, network)
        inputs = network.config.hidden_size + network.outputs
        self._reader = Recurrent("reader", network.cell, inputs, self.reader_size)
        self._output = Linear("output", self.reader_size, network.outputs)

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """The network's without its head, the layer that reads, and its head."""
        params = body(self.network, self.network.init(generator, dtype))
        return params | self._reader.init(generator, dtype) | self._output.init(generator, dtype)

    def read(self, meta: Params, rows: Tensor, state: State | None) -> tuple[Tensor, State]:
        """See Sequential."""
        outputs, state = self._reader(meta, rows, state)
        return self._output(meta, outputs), state
