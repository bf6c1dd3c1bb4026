"""A network's embeddings of examples, where all tasks share its parameters: torch's own recurrent kernels.

Learners that compare embeddings change no weights for a task, so all examples of all tasks are one batch, and nothing
is differentiated twice: oneDNN's and cuDNN's kernels serve.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from hpo.meta.cells import Params
from hpo.meta.cells.base import PARAMETERS
from hpo.meta.network import Network
from hpo.meta.tasks.base import Episode, Tokens

warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk of memory")
_KERNELS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "rnn_tanh": torch.rnn_tanh,
    "rnn_relu": torch.rnn_relu,
    "gru": torch.gru,
    "lstm": torch.lstm,
}


def body(network: Network, params: Params) -> Params:
    """Without the head's parameters, which nothing here reads."""
    return {name: tensor for name, tensor in params.items() if name in network.names and not name.startswith("head.")}


def encode(network: Network, params: Params, episode: Episode) -> Tensor:
    """What the head would read: (tasks, examples, H); differentiable by ``params``, which have no task axis."""
    inputs, lengths = episode.inputs.flatten(0, 1), episode.lengths.flatten()
    rows = F.embedding(inputs, params["embedding"]) if isinstance(network.input, Tokens) else inputs
    read = _read(network, *_outputs(network, params, rows, lengths), lengths)
    return read.view(*episode.lengths.shape, -1)


def _outputs(network: Network, params: Params, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """rows (sequences, time, features) -> the last layer's outputs (sequences, time, H) and last ones (sequences, H).

    Beyond a sequence's end outputs are 0.
    """
    config = network.config
    kernel = _KERNELS[f"rnn_{config.nonlinearity}" if config.cell == "rnn" else config.cell]
    weights = [params[f"cell{layer}.{name}"] for layer in range(config.layers) for name in PARAMETERS]
    zero = rows.new_zeros(config.layers, rows.shape[0], config.hidden_size)
    start = (zero, zero) if config.cell == "lstm" else zero
    biased, dropout, training, bidirectional = True, 0.0, True, False
    options = (weights, biased, config.layers, dropout, training, bidirectional)
    if bool((lengths == rows.shape[1]).all()):
        outputs, last, *_ = kernel(rows, start, *options, True)
        return outputs, last[-1]
    packed = pack_padded_sequence(rows, lengths.cpu(), batch_first=True, enforce_sorted=False)
    outputs, last, *_ = kernel(packed.data, packed.batch_sizes, start, *options)
    places = (packed.sorted_indices, packed.unsorted_indices)
    padded, _ = pad_packed_sequence(PackedSequence(outputs, packed.batch_sizes, *places), batch_first=True)
    assert packed.unsorted_indices is not None  # as enforce_sorted is off
    return padded, last[-1].index_select(0, packed.unsorted_indices)


def _read(network: Network, outputs: Tensor, last: Tensor, lengths: Tensor) -> Tensor:
    if network.config.readout == "last":
        return last
    return outputs.sum(dim=1) / lengths.to(outputs.dtype).unsqueeze(1)
