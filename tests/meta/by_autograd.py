"""A learner's meta-gradient by autograd through the graph of its whole inner loop, as its paper writes it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.learners import Learner, learner_of
from hpo.meta.learners.inner_loop import InnerLoop
from hpo.meta.tasks import Split, TaskBatch, task_family
from tests.meta.gradients.oracle import Case, Expected, whole_graph

Make = Callable[..., TrialConfig]


def set_up(config: TrialConfig, tasks: int = 3) -> tuple[Learner, Params, TaskBatch]:
    """With meta-parameters in float64, each different from all others."""
    family = task_family(config.tasks)
    learner = learner_of(config, family)
    batch = family.sample(Split.TRAIN, tasks, np.random.default_rng(0)).to(dtype=torch.float64)
    meta, numbers = learner.init(torch.Generator().manual_seed(0), torch.float64), torch.Generator().manual_seed(1)
    return learner, {name: tensor * _near_one(tensor, numbers) for name, tensor in meta.items()}, batch


def _near_one(like: torch.Tensor, numbers: torch.Generator) -> torch.Tensor:
    return 1 + 0.1 * torch.randn(like.shape, generator=numbers, dtype=like.dtype)


def expected(learner: Learner, meta: Params, batch: TaskBatch, loop: InnerLoop) -> Expected:
    """Its derivatives summed over tasks: divide them by their number."""
    theta = {name: meta[name].expand(batch.tasks, *meta[name].shape) for name in learner.network.names}
    found = whole_graph(Case(learner.network, theta, batch.support, batch.query, 0), loop)
    return Expected({name: tensor.sum(dim=0) for name, tensor in found.theta.items()}, found.rates, found.predictions)
