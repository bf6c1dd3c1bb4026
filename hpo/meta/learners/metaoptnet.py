"""MetaOptNet (Lee, Maji, Ravichandran & Soatto 2019, arXiv:1904.03758): a convex learner on top of the network.

    logits(x) = s W f(x)                                            section 3.2, with f the network without its head
    svm     W = that of crammer_singer.py                           C = svm_cost
    ridge   W = Y^T (X X^T + lambda)^-1 X = Y^T X (X^T X + lambda)^-1

X (S, H) are the support set's embeddings, Y (S, ways) its classes, one-hot. s is learned; with ridge regression lambda
is too, as in R2-D2 (Bertinetto, Henriques, Torr & Vedaldi 2019, arXiv:1805.08136, equations 5 to 8), and of the two
systems the one with fewer unknowns is solved. Neither head has an intercept, as in both papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from hpo.config.learner import MetaOptNetConfig
from hpo.meta.cells import Params
from hpo.meta.encoder import body, encode
from hpo.meta.learners.crammer_singer import dual
from hpo.meta.learners.episodic import Episodic
from hpo.meta.network import Network
from hpo.meta.tasks.base import Episode

_FIRST_SCALE = 10.0  # without it, logits of one-hot classes differ by 1 at most


class MetaOptNet(Episodic):
    """See the module."""

    def __init__(self, config: MetaOptNetConfig, network: Network) -> None:
        super().__init__(network)
        self._config = config

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """The network's without its head, and the logarithms of s and lambda."""
        params = body(self.network, self.network.init(generator, dtype))
        params["log_scale"] = torch.tensor(math.log(_FIRST_SCALE), dtype=dtype)
        if self._config.head == "ridge":
            params["log_ridge"] = torch.tensor(math.log(self._config.ridge), dtype=dtype)
        return params

    def condition(self, meta: Params, support: Episode) -> Callable[[Episode], Tensor]:
        """See Episodic."""
        embeddings = encode(self.network, meta, support)  # (tasks, S, H)
        classes = F.one_hot(support.targets, self.network.outputs).to(embeddings.dtype)  # (tasks, S, ways)
        weights = meta["log_scale"].exp() * self._head(meta, embeddings, classes)  # (tasks, H, ways)
        return lambda query: encode(self.network, meta, query) @ weights

    def _head(self, meta: Params, embeddings: Tensor, classes: Tensor) -> Tensor:
        """W^T."""
        if self._config.head == "ridge":
            return ridge_weights(embeddings, classes, meta["log_ridge"].exp())
        return svm_weights(embeddings, classes, self._config.svm_cost)


def ridge_weights(embeddings: Tensor, targets: Tensor, ridge: Tensor) -> Tensor:
    """embeddings (tasks, S, H), targets (tasks, S, outputs) -> W^T (tasks, H, outputs)."""
    examples, features = embeddings.shape[1:]
    if examples <= features:
        return embeddings.mT @ _solve(embeddings @ embeddings.mT, ridge, targets)
    return _solve(embeddings.mT @ embeddings, ridge, embeddings.mT @ targets)


def svm_weights(embeddings: Tensor, classes: Tensor, cost: float) -> Tensor:
    """embeddings (tasks, S, H), classes (tasks, S, ways) -> W^T (tasks, H, ways), solved in float64."""
    wide = embeddings.double()
    coefficients = dual(wide @ wide.mT, classes.mT.double(), cost)  # (tasks, ways, S)
    return (coefficients @ wide).mT.to(embeddings.dtype)


def _solve(products: Tensor, ridge: Tensor, right: Tensor) -> Tensor:
    """(products + ridge)^-1 right; what is not finite gives numbers that are not, and no error."""
    identity = torch.eye(products.shape[1], dtype=products.dtype, device=products.device)
    return torch.cholesky_solve(right, torch.linalg.cholesky_ex(products + ridge * identity).L)
