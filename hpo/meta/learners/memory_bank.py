"""MAML with a memory of tasks: one that is like an earlier task starts from what that one ended with.

    e(S)  = mean and variance over the support set of [f(x), y]    a set encoder (Zaheer et al. 2017, arXiv:1703.06114)
    d(S)  = W e(S) / |W e(S)|                                      task descriptor
    m     = argmax_j d(S) . d_j                                    the nearest task of the bank (task_bank.py)
    a     = sigma(s (d(S) . d_m - tau))                            whether it is near enough; 0 while the bank is empty
    phi_0 = theta + a (phi_m - theta),    phi_{k+1} = phi_k - alpha grad L_support(phi_k)

Starting points that depend on the task are those of Yao et al. 2019 (arXiv:1905.05301) and Vuorio et al. 2019
(arXiv:1910.13616), where a network writes them; here they are parameters that have solved a task. theta, the encoder's
network f, W, s and tau are meta-learned by the query loss; the bank is filled with the tasks of each meta-iteration.
Where targets are classes their order means nothing from task to task: y is left out and the head is not stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from hpo.config.learner import MemoryBankConfig
from hpo.meta.cells import Params
from hpo.meta.cells.base import uniform
from hpo.meta.encoder import encode
from hpo.meta.gradients import episode_loss
from hpo.meta.learners.chunks import Chunking
from hpo.meta.learners.gradient_based import expanded
from hpo.meta.learners.inner_loop import InnerLoop
from hpo.meta.learners.task_bank import empty_bank, is_of_bank, memorize, nearest, recalled
from hpo.meta.learners.unrolled import Part, Unrolled
from hpo.meta.tasks.base import Episode, TaskBatch, Values

_SHARPNESS = 10.0  # s at first


@dataclass(frozen=True)
class MemoryBank(Unrolled):
    """See the module."""

    config: MemoryBankConfig

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        """See Learner; the bank is empty."""
        theta = super().init(generator, dtype)
        size, features = self.config.descriptor_size, self._features
        gate = {"gate.sharpness": _SHARPNESS, "gate.threshold": self.config.nearness}
        return (
            theta
            | {"descriptor.weight": uniform((size, features), features, generator, dtype)}
            | {name: torch.tensor(value, dtype=dtype) for name, value in gate.items()}
            | empty_bank(self.config.slots, size, {name: theta[name] for name in self._stored})
        )

    def start(self, meta: Params, support: Episode) -> Params:
        """See GradientBased: theta, or the parameters of the nearest task, or what is between them."""
        with torch.no_grad():
            gate, slot = self._gate(meta, support)
        return self._between(meta, gate, slot)

    def remember(self, meta: Params, support: Episode) -> None:
        """Stores what every task ends with; in place."""
        solved = next(islice(self.descent(meta, support), self.inner_steps, None))
        with torch.no_grad():
            descriptors = self.describe(meta, support)
        memorize(meta, descriptors, {name: solved[name] for name in self._stored}, float(meta["gate.threshold"]))

    def describe(self, meta: Params, support: Episode) -> Tensor:
        """d(S) of every task, (tasks, D)."""
        rows = encode(self.network, meta, support)  # (tasks, examples, H)
        if isinstance(self.network.output, Values):
            rows = torch.cat([rows, support.targets], dim=2)
        moments = torch.cat([rows.mean(dim=1), rows.var(dim=1, unbiased=False)], dim=1)
        return F.normalize(moments @ meta["descriptor.weight"].mT, dim=1)

    def _chunked(self, loop: InnerLoop, chunks: Chunking, meta: Params, batch: TaskBatch) -> Iterator[Part]:
        for part in batch.chunk(-(-batch.tasks // chunks.tasks)):
            support_loss = episode_loss(self.network, part.support, chunks.support)
            query_loss = episode_loss(self.network, part.query, chunks.query)
            leaves = {name: meta[name].detach().requires_grad_() for name in meta if not is_of_bank(name)}
            with torch.enable_grad():
                gate, slot = self._gate(meta | leaves, part.support)
            found = loop.meta_gradient(self._between(meta, gate.detach(), slot), support_loss, query_loss)
            yield Part(self._gradient(meta, leaves, gate, slot, found.theta), found.predictions)

    def _gradient(self, meta: Params, leaves: Params, gate: Tensor, slot: Tensor, by_start: Params) -> Params:
        """By every meta-parameter, from the derivatives by phi_0 (tasks, *shape)."""
        total = {name: torch.zeros_like(tensor) for name, tensor in meta.items()}
        own = recalled(meta, slot, self._stored)
        by_gate = torch.stack(
            [(by_start[name] * (own[name] - meta[name])).flatten(1).sum(dim=1) for name in self._stored]
        ).sum(dim=0)  # (tasks,)
        for name, tensor in by_start.items():
            left = 1.0 - gate.detach() if name in self._stored else torch.ones_like(gate)
            total[name] += torch.tensordot(left, tensor, dims=1)
        found = torch.autograd.grad((gate * by_gate).sum(), list(leaves.values()), allow_unused=True)
        for name, tensor in zip(leaves, found, strict=True):
            if tensor is not None:
                total[name] += tensor
        return total

    def _gate(self, meta: Params, support: Episode) -> tuple[Tensor, Tensor]:
        """a (tasks,) and the nearest slot (tasks,)."""
        found = nearest(meta, self.describe(meta, support))
        gate = torch.sigmoid(meta["gate.sharpness"] * (found.similarity - meta["gate.threshold"]))
        return gate * (meta["bank.used"].amax() >= 1.0), found.slot

    def _between(self, meta: Params, gate: Tensor, slot: Tensor) -> Params:
        """phi_0 (tasks, *shape)."""
        theta = expanded(self._theta(meta), gate.shape[0])
        own = recalled(meta, slot, self._stored)
        return theta | {name: torch.lerp(theta[name], own[name], _like(gate, own[name])) for name in self._stored}

    @cached_property
    def _stored(self) -> list[str]:
        regression = isinstance(self.network.output, Values)
        return [name for name in self.network.names if regression or not name.startswith("head.")]

    @property
    def _features(self) -> int:
        regression = isinstance(self.network.output, Values)
        return 2 * (self.network.config.hidden_size + (self.network.outputs if regression else 0))

    @property
    def _starts_from_theta(self) -> bool:
        return False

    @property
    def _is_one_program(self) -> bool:
        return False  # the bank is read by index


def _like(gate: Tensor, tensor: Tensor) -> Tensor:
    """gate (tasks,) to be broadcast with tensor (tasks, *shape)."""
    return gate.view(-1, *[1] * (tensor.dim() - 1))
