"""MAML and Meta-SGD on the sinusoids of the Meta-SGD paper: ``python -m tests.bench.sinusoid`` (minutes).

The protocol of Li et al. 2017, arXiv:1707.09835, section 4.1, with 5 shots. A task is a wave A sin(omega x + b) with A,
omega and b uniform in [0.1, 5], [0.8, 1.2] and [0, pi]; x is uniform in [-5, 5]. Meta-training: 60,000 meta-iterations
of 4 tasks with 5 examples in the support set and 10 in the query set, one inner step, its rate 0.01 (MAML) or at first
one number in [0.005, 0.1] (Meta-SGD), Adam at 0.001. Meta-test: waves with 100 support sets each; the squared error
on 100 evenly spaced points. The network has two hidden layers of 40 units, ReLU, weights of a normal distribution
with standard deviation 0.01 that is cut off at two of them, and biases of 0.

The paper has 100 waves in its meta-test: so few that ten such sets give one network 0.72 to 0.96. Here there
are 1,000, the same for all seeds.

It is no network of this service's, but what learns it is this service's: the learners' rates, inner loop, adjoint and
outer optimizer. The networks of all seeds are trained side by side, as tasks with theta of their own.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from hpo.config.learner import MamlConfig, MetaSgdConfig
from hpo.config.training import TrainingConfig
from hpo.meta.cells import Params
from hpo.meta.cells.base import affine
from hpo.meta.gradients.by_autograd import AutogradLoss
from hpo.meta.learners.inner_loop import descend
from hpo.meta.learners.maml import Maml
from hpo.meta.learners.meta_sgd import MetaSgd
from hpo.meta.learners.unrolled import Unrolled
from hpo.meta.outer import Outer

SHOTS, QUERIES, META_BATCH, META_ITERATIONS = 5, 10, 4, 60_000
TEST_WAVES, TEST_SETS, TEST_POINTS = 1000, 100, 100
AT_ONCE = 100  # waves
PUBLISHED = {"MAML": (1.13, 0.18), "Meta-SGD": (0.90, 0.16)}  # table 1, with 95 % confidence intervals
NO_CLIPPING = 1e9
INNER_LRS = (0.005, 0.1)  # where Meta-SGD's begin
SIZES = (1, 40, 40, 1)


class Mlp:
    """Stands for a Network: the paper's regressor, x (tasks, examples, 1) -> (tasks, examples, 1)."""

    names = tuple(f"{part}{layer}" for layer in range(len(SIZES) - 1) for part in ("weight", "bias"))

    def init(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Params:
        params = {}
        for layer, (inputs, outputs) in enumerate(pairwise(SIZES)):
            weight = torch.empty(outputs, inputs, dtype=dtype)
            torch.nn.init.trunc_normal_(weight, std=0.01, a=-0.02, b=0.02, generator=generator)
            params |= {f"weight{layer}": weight, f"bias{layer}": torch.zeros(outputs, dtype=dtype)}
        return params

    def forward(self, params: Params, x: Tensor) -> Tensor:
        for layer in range(len(SIZES) - 1):
            x = affine(x.relu() if layer else x, params[f"weight{layer}"], params[f"bias{layer}"])
        return x

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        return (predictions - targets).square().mean(dim=(1, 2))


@dataclass(frozen=True)
class Waves:
    """One a task: amplitude, frequency and phase, (tasks, 1, 1) each."""

    amplitude: Tensor
    frequency: Tensor
    phase: Tensor

    @classmethod
    def draw(cls, tasks: int, generator: torch.Generator) -> Waves:
        bounds = ((0.1, 5.0), (0.8, 1.2), (0.0, math.pi))
        return cls(*(torch.empty(tasks, 1, 1).uniform_(*own, generator=generator) for own in bounds))

    def repeated(self, times: int) -> Waves:
        own = (self.amplitude, self.frequency, self.phase)
        return Waves(*(tensor.repeat_interleave(times, dim=0) for tensor in own))

    def loss(self, mlp: Mlp, x: Tensor) -> AutogradLoss:
        """On these x (tasks, examples, 1)."""
        return AutogradLoss(mlp, x, self.amplitude * (self.frequency * x + self.phase).sin())

    def drawn_loss(self, mlp: Mlp, examples: int, generator: torch.Generator) -> AutogradLoss:
        x = torch.empty(len(self.amplitude), examples, 1).uniform_(-5.0, 5.0, generator=generator)
        return self.loss(mlp, x)


def learner_of(name: str, mlp: Mlp, seed: int) -> Unrolled:
    if name == "MAML":
        return Maml(MamlConfig(kind="maml", inner_steps=1, inner_lr=0.01), mlp)
    low, high = INNER_LRS
    first = low + (high - low) * float(torch.rand((), generator=torch.Generator().manual_seed(seed)))
    return MetaSgd(MetaSgdConfig(kind="meta_sgd", inner_steps=1, inner_lr=first), mlp)


def meta_train(name: str, seeds: Sequence[int], meta_iterations: int) -> tuple[Unrolled, Params]:
    """The meta-parameters (seeds, *shape)."""
    mlp = Mlp()
    learners = [learner_of(name, mlp, seed) for seed in seeds]
    fresh = [learner.init(torch.Generator().manual_seed(seed)) for learner, seed in zip(learners, seeds, strict=True)]
    meta = {key: torch.stack([own[key] for own in fresh]) for key in fresh[0]}
    outer = Outer(meta, TrainingConfig(outer_lr=0.001, clip_norm=NO_CLIPPING))
    generators = [torch.Generator().manual_seed(1000 + seed) for seed in seeds]
    for _ in range(meta_iterations):
        outer.step(meta_gradient(learners[0], mlp, outer.meta, generators))
    return learners[0], outer.meta


def meta_gradient(learner: Unrolled, mlp: Mlp, meta: Params, generators: Sequence[torch.Generator]) -> Params:
    """Of fresh tasks, each seed's from a generator of its own; (seeds, *shape)."""
    drawn = [draw(mlp, generator) for generator in generators]
    support, query = (joined(losses) for losses in zip(*drawn, strict=True))
    each = {name: tensor.repeat_interleave(META_BATCH, dim=0) for name, tensor in meta.items()}
    found = learner.loop(each).meta_gradient({name: each[name] for name in mlp.names}, support, query)
    by_task = found.theta | learner.rate_gradient(found.rates)
    return {name: tensor.unflatten(0, (-1, META_BATCH)).mean(dim=1) for name, tensor in by_task.items()}


def draw(mlp: Mlp, generator: torch.Generator) -> tuple[AutogradLoss, AutogradLoss]:
    """One seed's meta-batch: support and query sets."""
    waves = Waves.draw(META_BATCH, generator)
    return waves.drawn_loss(mlp, SHOTS, generator), waves.drawn_loss(mlp, QUERIES, generator)


def joined(losses: Sequence[AutogradLoss]) -> AutogradLoss:
    sequences, targets = (torch.cat([getattr(loss, part) for loss in losses]) for part in ("sequences", "targets"))
    return AutogradLoss(losses[0].network, sequences, targets)


def meta_test(learner: Unrolled, meta: Params) -> Tensor:
    """Each wave's mean squared error after one step, (waves,); meta (*shape) of one seed."""
    generators = (torch.Generator().manual_seed(2100 + part) for part in range(TEST_WAVES // AT_ONCE))
    return torch.cat([errors(learner, meta, generator) for generator in generators])


def errors(learner: Unrolled, meta: Params, generator: torch.Generator) -> Tensor:
    mlp, tasks = Mlp(), AT_ONCE * TEST_SETS
    waves = Waves.draw(AT_ONCE, generator).repeated(TEST_SETS)
    support = waves.drawn_loss(mlp, SHOTS, generator)
    points = torch.linspace(-5.0, 5.0, TEST_POINTS).view(1, -1, 1).expand(tasks, -1, -1)
    theta = {name: meta[name].expand(tasks, *meta[name].shape) for name in mlp.names}
    rates = learner.rates(meta, 0)
    phi = descend(theta, support.slope(theta, rates.keys(), keep=False), rates, consume=True)
    query = waves.loss(mlp, points)
    return mlp.loss(query.predict(phi), query.targets).view(AT_ONCE, TEST_SETS).mean(dim=1)


def measured(name: str, seeds: Sequence[int], meta_iterations: int) -> dict[str, Any]:
    """Each seed's mean over waves, with its 95 % confidence interval, beside what was published."""
    began = time.perf_counter()
    learner, meta = meta_train(name, seeds, meta_iterations)
    seconds = time.perf_counter() - began
    tested = [meta_test(learner, {key: own[row] for key, own in meta.items()}) for row in range(len(seeds))]
    published, interval = PUBLISHED[name]
    return {
        "learner": name,
        "published": [published, interval],
        "mse": [round(float(own.mean()), 3) for own in tested],
        "interval": [round(1.96 * float(own.std()) / math.sqrt(TEST_WAVES), 3) for own in tested],
        "within": [abs(float(own.mean()) - published) <= interval for own in tested],
        "meta_iterations": meta_iterations,
        "seconds": round(seconds, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--meta-iterations", type=int, default=META_ITERATIONS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in PUBLISHED:
        print(json.dumps(measured(name, range(given.seeds), given.meta_iterations)), flush=True)


if __name__ == "__main__":
    main()
