"""Matching Networks (Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra 2016, arXiv:1606.04080).

    P(y | x, S) = sum_i a(x, x_i) y_i                                                            equation 1
    a(x, x_i) = softmax_i(s cos(f(x), g(x_i)))                                                   section 2.1.1

S = {(x_i, y_i)} is the support set. s is 1 in the paper and learned here: a softmax over numbers in [-1, 1] can be sure
of nothing (Gidaris & Komodakis 2018, arXiv:1804.09458, section 3.2). Without context f = g = e, the recurrent network
without its head. With full context embeddings (section 2.1.2 and appendix A)

    g(x_i, S) = h>_i + h<_i + e(x_i)           h> and h< of an LSTM over the e(x_i) in each direction
    h^_k, c_k = LSTM(e(x), [h_{k-1}, r_{k-1}], c_{k-1})                                          equation 3
    h_k = h^_k + e(x)                                                                            equation 4
    r_{k-1} = sum_i softmax_i(h_{k-1}^T g(x_i)) g(x_i)                                           equations 5 and 6
    f(x, S) = h_K                              K = context_steps

Read in both directions, S still has an order: that of order.py, so that the result depends on the set alone. Logits are
log P: a class without support examples is never predicted.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from hpo.config.learner import MatchingConfig
from hpo.meta.cells import CELLS, Params
from hpo.meta.encoder import body, encode
from hpo.meta.layers import Recurrent
from hpo.meta.learners.episodic import Episodic
from hpo.meta.learners.order import in_own_order
from hpo.meta.network import Network
from hpo.meta.tasks.base import Episode

_FIRST_SCALE = 10.0


class Matching(Episodic):
    """See the module."""

    def __init__(self, config: MatchingConfig, network: Network) -> None:
        super().__init__(network)
        self._context = FullContext(network.config.hidden_size, config.context_steps) if config.full_context else None

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """The network's without its head, the logarithm of s, and the LSTMs of the context."""
        params = body(self.network, self.network.init(generator, dtype))
        params["log_scale"] = torch.tensor(math.log(_FIRST_SCALE), dtype=dtype)
        return params | (self._context.init(generator, dtype) if self._context else {})

    def condition(self, meta: Params, support: Episode) -> Callable[[Episode], Tensor]:
        """See Episodic."""
        support = in_own_order(support) if self._context else support
        examples = encode(self.network, meta, support)  # (tasks, S, H)
        if self._context:
            examples = self._context.of_support(meta, examples)

        def predict(query: Episode) -> Tensor:
            asked = encode(self.network, meta, query)  # (tasks, Q, H)
            if self._context:
                asked = self._context.of_query(meta, asked, examples)
            scores = meta["log_scale"].exp() * (F.normalize(asked, dim=2) @ F.normalize(examples, dim=2).mT)
            return log_probabilities(scores, support.targets, self.network.outputs)

        return predict


class FullContext:
    """Embeddings that know of the support set."""

    def __init__(self, hidden: int, steps: int) -> None:
        self._steps = steps
        self._forward = Recurrent("forward", CELLS["lstm"], hidden, hidden)
        self._backward = Recurrent("backward", CELLS["lstm"], hidden, hidden)
        self._attention = Recurrent("attention", CELLS["lstm"], 2 * hidden, hidden)

    def init(self, generator: torch.Generator, dtype: torch.dtype) -> Params:
        """Of the three LSTMs."""
        layers = (self._forward, self._backward, self._attention)
        return {name: tensor for layer in layers for name, tensor in layer.init(generator, dtype).items()}

    def of_support(self, meta: Params, embeddings: Tensor) -> Tensor:
        """e(x_i) -> g(x_i, S), both (tasks, S, H)."""
        forward, _ = self._forward(meta, embeddings)
        backward, _ = self._backward(meta, embeddings.flip(1))
        return forward + backward.flip(1) + embeddings

    def of_query(self, meta: Params, embeddings: Tensor, examples: Tensor) -> Tensor:
        """e(x) -> f(x, S), both (tasks, Q, H); examples (tasks, S, H) are g(x_i, S).

        The LSTM reads [h, r] as its last output. What it makes of r is a product like that of e(x), so r is handed to
        it as a part of the input.
        """
        shape, asked = embeddings.shape, embeddings.flatten(0, 1)  # (tasks Q, H)
        h, c = torch.zeros_like(asked), torch.zeros_like(asked)
        for _ in range(self._steps):
            read = (h.view(shape) @ examples.mT).softmax(dim=2) @ examples  # r, (tasks, Q, H)
            rows = torch.cat([asked, read.flatten(0, 1)], dim=1)
            _, (output, c) = self._attention(meta, rows.unsqueeze(1), (h, c))
            h = output + asked
        return h.view(shape)


def log_probabilities(scores: Tensor, targets: Tensor, ways: int) -> Tensor:
    """scores (tasks, Q, S), targets (tasks, S) -> the logarithm of the attention to each class (tasks, Q, ways)."""
    others = F.one_hot(targets, ways).mT.unsqueeze(1) == 0  # (tasks, 1, ways, S)
    return scores.log_softmax(dim=2).unsqueeze(2).masked_fill(others, -math.inf).logsumexp(dim=3)
