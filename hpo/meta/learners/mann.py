"""A memory-augmented neural network (Santoro, Bartunov, Botvinick, Wierstra & Lillicrap 2016, arXiv:1605.06065).

    h_t = LSTM([e(x_t), y_{t-1}, r_{t-1}])          the controller, with a state of its own
    k_t = tanh(W_k h_t)                             a key for each head, for the step that external_memory.py has
    prediction = W_o [h_t, r_t]

alpha and beta are learned numbers, one of each for a head. sequential.py says what is read and when it is predicted.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hpo.config.learner import MannConfig
from hpo.meta.cells import CELLS, Params, State
from hpo.meta.encoder import body
from hpo.meta.layers import Linear, Recurrent
from hpo.meta.learners.external_memory import LeastRecentlyUsed, Memory
from hpo.meta.learners.sequential import Sequential
from hpo.meta.network import Network

_FIRST_STRENGTH = 10.0


class Mann(Sequential):
    """See the module; a state is h, c, r and the parts of a Memory."""

    def __init__(self, config: MannConfig, network: Network) -> None:
        super().__init__(config, network)
        self._memory = LeastRecentlyUsed(
            config.memory_slots, config.memory_width, min(config.read_heads, config.memory_slots), config.decay
        )
        read = self._memory.heads * self._memory.width
        inputs = network.config.hidden_size + network.outputs + read
        self._controller = Recurrent("controller", CELLS["lstm"], inputs, self.reader_size)
        self._key = Linear("key", self.reader_size, read)
        self._output = Linear("output", self.reader_size + read, network.outputs)

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """The network's without its head, the controller's, alpha and the logarithm of beta."""
        params = body(self.network, self.network.init(generator, dtype))
        for layer in (self._controller, self._key, self._output):
            params |= layer.init(generator, dtype)
        params["alpha"] = torch.zeros(self._memory.heads, dtype=dtype)
        params["log_strength"] = torch.full((self._memory.heads,), math.log(_FIRST_STRENGTH), dtype=dtype)
        return params

    def read(self, meta: Params, rows: Tensor, state: State | None) -> tuple[Tensor, State]:
        """See Sequential."""
        state = state or self._start(rows)
        predictions = []
        for row in rows.unbind(dim=1):
            prediction, state = self._step(meta, row, state)
            predictions.append(prediction)
        return torch.stack(predictions, dim=1), state

    def _step(self, meta: Params, row: Tensor, state: State) -> tuple[Tensor, State]:
        h, c, read, *memory = state
        _, (h, c) = self._controller(meta, torch.cat([row, read], dim=1).unsqueeze(1), (h, c))
        keys = self._key(meta, h).tanh().view(len(row), self._memory.heads, -1)
        gate, strength = meta["alpha"].sigmoid(), meta["log_strength"].exp()
        found, after = self._memory.step(Memory(*memory), keys, gate, strength)
        read = found.flatten(1)
        return self._output(meta, torch.cat([h, read], dim=1)), (h, c, read, *after)

    def _start(self, rows: Tensor) -> State:
        sequences = len(rows)
        zero = rows.new_zeros(sequences, self.reader_size)
        read = rows.new_zeros(sequences, self._memory.heads * self._memory.width)
        return (zero, zero, read, *self._memory.empty(sequences, rows))
