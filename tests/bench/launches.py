"""How many operators a meta-gradient launches on a GPU: ``python -m tests.bench.launches`` (no GPU is needed).

One second-order meta-gradient of an LSTM on 28 features x 28 steps, 5-way 1-shot, 5 queries a class, in the dense
layout that other devices than the CPU have. What is counted is torch's operators that compute, copy or fill; views and
memory without a value launch nothing. An operator launches one kernel at least, so these are lower bounds.

through the loop   autograd through all inner steps: the textbook's double backward
autograd           the adjoint recursion of learners/inner_loop.py, its Hessian products by autograd
recurrences        the same, by hand-written recurrences; what a CUDA graph holds (learners/cuda_graphs.py)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from hpo.config.model import ModelConfig
from hpo.meta.cells import Params
from hpo.meta.gradients import EpisodeLoss
from hpo.meta.gradients.by_autograd import AutogradLoss
from hpo.meta.gradients.by_recurrences import RecurrenceLoss
from hpo.meta.learners.inner_loop import InnerLoop
from hpo.meta.network import Network
from hpo.meta.tasks.base import Classes, Episode, Features, TaskBatch
from tests.bench.setting import FEATURES, INNER_LR, QUERIES, SEED, SHOTS, TIME, WAYS

MEMORY_ONLY = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view"}
HOST = {
    "_local_scalar_dense", "equal", "is_nonzero", "item", "lift_fresh", "lift_fresh_copy", "masked_select", "nonzero",
    "repeat_interleave", "scalar_tensor", "unique_consecutive", "unique_dim", "_unique2",
}  # fmt: skip


class Operators(TorchDispatchMode):
    """Counts the operators of its block, below autograd, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.launched: Counter[str] = Counter()
        self.host: Counter[str] = Counter()
        self.devices: set[str] = set()

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """``host``: operators that read values on the host, or make a tensor of the host's values."""
        name = func.overloadpacket.__name__
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in (*_flat(args), *_flat(kwargs or {}), *_flat(result)) if isinstance(x, Tensor)]
        self.devices |= {tensor.device.type for tensor in tensors}
        if name in HOST:
            self.host[name] += 1
        if name not in MEMORY_ONLY and not func.is_view:
            self.launched[name] += 1
        return result

    @property
    def total(self) -> int:
        """Launches."""
        return self.launched.total()


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for each in value for leaf in _flat(each)] if isinstance(value, list | tuple) else [value]


@dataclass(frozen=True)
class Problem:
    """One setting; theta is one set of parameters for all tasks."""

    network: Network
    theta: Params
    batch: TaskBatch
    inner_steps: int

    @classmethod
    def of(cls, inner_steps: int, hidden: int = 32, tasks: int = 16) -> Problem:
        """With random numbers."""
        network = Network(ModelConfig(cell="lstm", hidden_size=hidden), Features(FEATURES), Classes(WAYS))
        numbers = torch.Generator().manual_seed(SEED)
        batch = TaskBatch(*(_episode(tasks, each, numbers) for each in (SHOTS, QUERIES)))
        return cls(network, network.init(numbers), batch, inner_steps)

    def expanded(self) -> Params:
        """theta (tasks, *shape)."""
        return {name: tensor.expand(self.batch.tasks, *tensor.shape) for name, tensor in self.theta.items()}


def _episode(tasks: int, examples: int, numbers: torch.Generator) -> Episode:
    inputs = torch.randn(tasks, WAYS * examples, TIME, FEATURES, generator=numbers)
    targets = torch.arange(WAYS).repeat_interleave(examples).repeat(tasks, 1)
    return Episode(inputs, targets, torch.full_like(targets, TIME))


def through_the_loop(problem: Problem) -> Params:
    """Plain MAML: one graph of everything."""
    network, batch = problem.network, problem.batch
    support, query = network.pack(batch.support, dense=True), network.pack(batch.query, dense=True)
    theta = {name: tensor.detach().requires_grad_() for name, tensor in problem.theta.items()}
    phi = {name: tensor.expand(batch.tasks, *tensor.shape) for name, tensor in theta.items()}
    for _ in range(problem.inner_steps):
        loss = network.loss(network.forward(phi, support), batch.support.targets).sum()
        gradients = torch.autograd.grad(loss, list(phi.values()), create_graph=True)
        phi = {name: phi[name] - INNER_LR * g for name, g in zip(phi, gradients, strict=True)}
    loss = network.loss(network.forward(phi, query), batch.query.targets).mean()
    return dict(zip(theta, torch.autograd.grad(loss, list(theta.values())), strict=True))


def autograd(problem: Problem) -> Params:
    """See the module."""
    return _by_the_recursion(problem, AutogradLoss)


def recurrences(problem: Problem) -> Params:
    """See the module."""
    return _by_the_recursion(problem, RecurrenceLoss)


def _by_the_recursion(problem: Problem, kind: Callable[..., EpisodeLoss]) -> Params:
    network, tasks = problem.network, problem.batch.tasks
    support, query = (
        kind(network, network.pack(episode, dense=True), episode.targets)
        for episode in (problem.batch.support, problem.batch.query)
    )
    steps = problem.inner_steps
    loop = InnerLoop([dict.fromkeys(network.names, INNER_LR)] * steps, second=True, weights=(0.0,) * steps + (1.0,))
    gradient = loop.meta_gradient(problem.expanded(), support, query)
    return {name: tensor.sum(dim=0) / tasks for name, tensor in gradient.theta.items()}


WAYS_TO_IT = {"through the loop": through_the_loop, "autograd": autograd, "recurrences": recurrences}


def launches(problem: Problem) -> dict[str, int]:
    """Of every way."""
    counts = {}
    for name, compute in WAYS_TO_IT.items():
        with Operators() as operators:
            compute(problem)
        counts[name] = operators.total
    return counts


def main() -> None:
    """Prints the table."""
    print("  K", *(f"{name:>18}" for name in WAYS_TO_IT))
    for inner_steps in (1, 5):
        counts = launches(Problem.of(inner_steps))
        print(f"{inner_steps:3d}", *(f"{counts[name]:18d}" for name in WAYS_TO_IT))


if __name__ == "__main__":
    main()
