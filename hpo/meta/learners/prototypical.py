"""Prototypical Networks (Snell, Swersky & Zemel 2017, arXiv:1703.05175).

    c_k = mean of f(x) over the support examples of class k                                      equation 1
    logit_k(x) = -s d(f(x), c_k)                                                                 equation 2

f is the recurrent network without its head; d the squared Euclidean distance with s = 1, or one minus the cosine with a
learned s, without which a softmax over numbers in [-1, 1] can be sure of nothing (Gidaris & Komodakis 2018,
arXiv:1804.09458, section 3.2). A class without support examples is never predicted.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from hpo.config.learner import PrototypicalConfig
from hpo.meta.cells import Params
from hpo.meta.encoder import body, encode
from hpo.meta.learners.episodic import Episodic
from hpo.meta.network import Network
from hpo.meta.tasks.base import Episode

_FIRST_SCALE = 10.0


class Prototypical(Episodic):
    """See the module."""

    def __init__(self, config: PrototypicalConfig, network: Network) -> None:
        super().__init__(network)
        self._distance = config.distance

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """The network's without its head; with the cosine also the logarithm of s."""
        params = body(self.network, self.network.init(generator, dtype))
        if self._distance == "cosine":
            params["log_scale"] = torch.tensor(math.log(_FIRST_SCALE), dtype=dtype)
        return params

    def condition(self, meta: Params, support: Episode) -> Callable[[Episode], Tensor]:
        """See Episodic."""
        members = F.one_hot(support.targets, self.network.outputs).to(meta["cell0.w_ih"].dtype)  # (tasks, S, ways)
        counts = members.sum(dim=1)  # (tasks, ways)
        embeddings = encode(self.network, meta, support)  # (tasks, S, H)
        prototypes = members.mT @ embeddings / counts.clamp(min=1.0).unsqueeze(2)  # (tasks, ways, H)
        absent = (counts == 0.0).unsqueeze(1)  # (tasks, 1, ways)

        def predict(query: Episode) -> Tensor:
            logits = self._logits(meta, encode(self.network, meta, query), prototypes)
            return logits.masked_fill(absent, -math.inf)

        return predict

    def _logits(self, meta: Params, embeddings: Tensor, prototypes: Tensor) -> Tensor:
        """embeddings (tasks, Q, H), prototypes (tasks, ways, H) -> (tasks, Q, ways)."""
        if self._distance == "cosine":
            return meta["log_scale"].exp() * (F.normalize(embeddings, dim=2) @ F.normalize(prototypes, dim=2).mT)
        return -(embeddings.unsqueeze(2) - prototypes.unsqueeze(1)).square().sum(dim=3)
