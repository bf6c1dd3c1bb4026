"""Learners that are shown a support set's examples one after another, and learn in their state.

    step t of the support set      [e(x_t), y_{t-1}] and the state -> a prediction of y_t and the next state
    a query example                [e(x), y_S] and the state after the support set -> a prediction

e is the recurrent network without its head. A label is shown one step late, with the next example, so that a prediction
is always made before it is seen (Hochreiter, Younger & Conwell 2001, section 2; Santoro et al. 2016, section 2). Before
the first one stand zeros. Every query example is read from the same state, so that none knows of another. With
``support_loss`` the predictions of the support set count like those of the query set, as in both papers, where there is
one sequence and every step of it counts. The order is that of order.py: in the one that families give, by class, the
labels could be foretold.

The outputs of e are normalized to mean 0 and variance 1 (Ba, Kiros & Hinton 2016, arXiv:1607.06450, without gain). At
first they are about 0.1 and much the same for all examples, and beside labels of 1 little is learned of them. Accuracy
at the second example of a class, two classes of Gaussians in 16 dimensions, where counting labels gives 65 %:
    Meta-RNN, 1,000 meta-iterations    68 % as they are    93 % normalized
    MANN, 630 meta-iterations          65 % as they are    87 % normalized
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from hpo.config.learner import SequentialConfig
from hpo.meta.cells import Params, State
from hpo.meta.encoder import encode
from hpo.meta.learners.episodic import Episodic
from hpo.meta.learners.order import in_own_order
from hpo.meta.network import Network
from hpo.meta.tasks.base import Classes, Episode, TaskBatch


class _Seen(NamedTuple):
    """The state after the support set (tasks, ...) each, and its last label (tasks, outputs)."""

    state: State
    label: Tensor


class Sequential(Episodic):
    """See the module."""

    def __init__(self, config: SequentialConfig, network: Network) -> None:
        super().__init__(network)
        self._support_loss = config.support_loss
        self.reader_size = config.reader_size or network.config.hidden_size

    @abstractmethod
    def read(self, meta: Params, rows: Tensor, state: State | None) -> tuple[Tensor, State]:
        """rows (sequences, steps, H + outputs) -> predictions (sequences, steps, outputs) and the state after them.

        A state's tensors are (sequences, ...); None is the one before the first step.
        """

    def presented(self, meta: Params, episode: Episode) -> Tensor:
        """The prediction for each example as it is presented, in the episode's order: (tasks, examples, outputs)."""
        return self._present(meta, episode)[0]

    def condition(self, meta: Params, support: Episode) -> Callable[[Episode], Tensor]:
        """See Episodic."""
        _, seen = self._present(meta, in_own_order(support))
        return partial(self._ask, meta, seen)

    def loss(self, meta: Params, batch: TaskBatch) -> tuple[Tensor, Tensor]:
        """See Episodic."""
        if not self._support_loss:
            return super().loss(meta, batch)
        support = in_own_order(batch.support)
        presented, seen = self._present(meta, support)
        asked = self._ask(meta, seen, batch.query)
        targets = torch.cat([support.targets, batch.query.targets], dim=1)
        return self.network.loss(torch.cat([presented, asked], dim=1), targets).mean(), asked

    def _embeddings(self, meta: Params, episode: Episode) -> Tensor:
        return F.layer_norm(encode(self.network, meta, episode), (self.network.config.hidden_size,))

    def _present(self, meta: Params, episode: Episode) -> tuple[Tensor, _Seen]:
        embeddings = self._embeddings(meta, episode)  # (tasks, S, H)
        labels = self._labels(episode).to(embeddings.dtype)  # (tasks, S, outputs)
        late = torch.cat([torch.zeros_like(labels[:, :1]), labels[:, :-1]], dim=1)
        predictions, state = self.read(meta, torch.cat([embeddings, late], dim=2), None)
        return predictions, _Seen(state, labels[:, -1])

    def _ask(self, meta: Params, seen: _Seen, query: Episode) -> Tensor:
        embeddings = self._embeddings(meta, query)  # (tasks, Q, H)
        tasks, examples, _ = embeddings.shape
        label = seen.label.unsqueeze(1).expand(-1, examples, -1)
        rows = torch.cat([embeddings, label], dim=2).flatten(0, 1).unsqueeze(1)  # (tasks Q, 1, H + outputs)
        state = tuple(part.repeat_interleave(examples, dim=0) for part in seen.state)
        return self.read(meta, rows, state)[0].view(tasks, examples, -1)

    def _labels(self, episode: Episode) -> Tensor:
        if isinstance(self.network.output, Classes):
            return F.one_hot(episode.targets, self.network.outputs)
        return episode.targets
