"""LSTM meta-learner (Ravi & Larochelle 2017, "Optimization as a model for few-shot learning", ICLR).

The inner loop's update rule is an LSTM over coordinates, whose cell state is the learner's parameters theta_t:
coordinate_lstm.py. It is meta-learned by the query loss of theta_K, and so is the first cell state theta_0.

As in the paper, gradients and losses of the inner loop count as constants: theta_K is differentiated through the rule
alone. So the way back needs nothing else of the inner loop, and is walked by some coordinates at a time, whose states
are computed once more: however long the loop and large the network, there is a graph of few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from hpo.config.learner import LstmMetaLearnerConfig
from hpo.meta.cells import Params
from hpo.meta.gradients import Way, episode_loss, gradient_way, way
from hpo.meta.learners.base import Predictor
from hpo.meta.learners.chunks import chunking
from hpo.meta.learners.coordinate_lstm import State, advance, first_state, fresh
from hpo.meta.network import Metrics, Network
from hpo.meta.profile import component
from hpo.meta.tasks.base import Episode, TaskBatch

_ROWS = 2**13  # coordinates at a time: of 2^17, a meta-iteration takes 35 % longer and 300 MB more


@dataclass(frozen=True)
class LstmMetaLearner:
    """See the module; implements Learner. Coordinates (n,) are all parameters of all tasks, task after task."""

    config: LstmMetaLearnerConfig
    network: Network

    @property
    def inner_steps(self) -> int:
        """K."""
        return self.config.inner_steps

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """Those of the network, which are theta_0, and of the rule."""
        theta = self.network.init(generator, dtype)
        return theta | fresh(self.config.lstm_size, self.config.input_gate, generator, dtype)

    def gradients(self, device: torch.device) -> Way:
        """See Learner: of the inner loop."""
        return way(self.network, device)

    def meta_gradient(self, meta: Params, batch: TaskBatch) -> tuple[Params, Metrics]:
        """See Learner."""
        states = sum(meta[name].numel() for name in self._names) * (self.config.lstm_size + self.inner_steps)
        chunks = chunking(self.network, states, batch, 0)
        total, predictions = {name: torch.zeros_like(tensor) for name, tensor in meta.items()}, []
        for part in batch.chunk(-(-batch.tasks // chunks.tasks)):
            query = episode_loss(self.network, part.query, chunks.query)
            steps = list(islice(self._steps(meta, part.support), self.inner_steps + 1))
            last = query.slope(self._params(steps[-1][0], meta), self._names, keep=False)
            predictions.append(last.predictions)
            seen = [seen for _, seen in steps if seen is not None]
            with component("adjoint"):
                self._add_gradient(total, meta, seen, _coordinates(last.gradient))
        gradient = {name: tensor / batch.tasks for name, tensor in total.items()}
        return gradient, self.network.metrics(torch.cat(predictions), batch.query.targets)

    def adaptation(self, meta: Params, support: Episode) -> Iterator[Predictor]:
        """See Learner."""
        for theta, _ in self._steps(meta, support):
            yield partial(self._predict, self._params(theta, meta))

    def _steps(self, meta: Params, support: Episode) -> Iterator[tuple[Tensor, Tensor | None]]:
        """theta_t (n,) for t = 0, 1, 2, ..., and the gradients and losses (n, 2) that led from the one before to it."""
        loss = episode_loss(self.network, support, gradient_way(self.network, support))
        state, seen = first_state(meta, self._theta(meta, support.tasks)), None
        while True:
            yield state.theta, seen
            slope = loss.slope(self._params(state.theta, meta), self._names, keep=False)
            gradient, losses = _coordinates(slope.gradient), self.network.loss(slope.predictions, support.targets)
            seen = torch.stack([gradient, losses.repeat_interleave(len(gradient) // support.tasks)], dim=1)
            with component("forward"):
                state = _advanced(meta, state, seen)

    def _add_gradient(self, total: Params, meta: Params, seen: Sequence[Tensor], by_last: Tensor) -> None:
        """Backward from dL / dtheta_K (n,), with what was seen K times."""
        rule = {name: tensor.detach().requires_grad_() for name, tensor in meta.items() if name not in self._names}
        tasks = len(by_last) // sum(meta[name].numel() for name in self._names)
        by_first = []
        for part in _parts(self._theta(meta, tasks), by_last, *seen):
            first, *by_rule = _backward(rule, *part)
            by_first.append(first)
            for name, tensor in zip(rule, by_rule, strict=True):
                total[name] += tensor
        for name, tensor in self._params(torch.cat(by_first), meta).items():
            total[name] += tensor.sum(dim=0)

    @property
    def _names(self) -> list[str]:
        """Of theta."""
        return self.network.names

    def _theta(self, meta: Params, tasks: int) -> Tensor:
        """theta_0 of all tasks, (n,)."""
        return _coordinates({name: meta[name].unsqueeze(0) for name in self._names}).repeat(tasks)

    def _params(self, theta: Tensor, meta: Params) -> Params:
        """(n,) -> (tasks, *shape) by name."""
        sizes = [meta[name].numel() for name in self._names]
        parts = torch.split(theta.view(-1, sum(sizes)), sizes, dim=1)
        return {name: part.reshape(-1, *meta[name].shape) for name, part in zip(self._names, parts, strict=True)}

    def _predict(self, phi: Params, episode: Episode) -> Tensor:
        return episode_loss(self.network, episode, gradient_way(self.network, episode)).predict(phi)


def _coordinates(params: Params) -> Tensor:
    """(tasks, *shape) by name -> (n,)."""
    return torch.cat([tensor.flatten(1) for tensor in params.values()], dim=1).flatten()


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Of some coordinates each."""
    return zip(*(torch.split(tensor, _ROWS) for tensor in tensors), strict=True)


def _advanced(rule: Params, state: State, seen: Tensor) -> State:
    states = [advance(rule, State(*own), given) for *own, given in _parts(*state, seen)]
    return State(*(torch.cat(tensors) for tensors in zip(*states, strict=True)))


@torch.enable_grad()
def _backward(rule: Params, theta: Tensor, by_last: Tensor, *seen: Tensor) -> tuple[Tensor, ...]:
    """By theta_0 (n,) and the rule's parameters, from dL / dtheta_K (n,)."""
    theta = theta.detach().requires_grad_()
    state = first_state(rule, theta)
    for given in seen:
        state = advance(rule, state, given)
    return torch.autograd.grad(state.theta, [theta, *rule.values()], by_last)
