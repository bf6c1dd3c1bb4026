"""What the tests of learners that read a support set share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.learners import learner_of
from hpo.meta.learners.episodic import Episodic
from hpo.meta.tasks import Split, TaskBatch, task_family

Reals = NDArray[np.float64]


def set_up(config: TrialConfig, tasks: int = 3, seed: int = 0) -> tuple[Any, Params, TaskBatch]:
    """A learner, its first meta-parameters and a batch, in float64."""
    family = task_family(config.tasks)
    learner = learner_of(config, family)
    assert isinstance(learner, Episodic)
    batch = family.sample(Split.TRAIN, tasks, np.random.default_rng(seed)).to(dtype=torch.float64)
    return learner, learner.init(torch.Generator().manual_seed(seed), torch.float64), batch


def cosine(a: Reals, b: Reals) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def softmax(scores: Reals) -> Reals:
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum()


def lstm(params: Params, name: str, x: Reals, h: Reals, c: Reals) -> tuple[Reals, Reals]:
    """One step of torch.nn.LSTM's equations, from vectors to vectors (h, c)."""
    w_ih, w_hh, b_ih, b_hh = (params[f"{name}.{part}"].numpy() for part in ("w_ih", "w_hh", "b_ih", "b_hh"))
    i, f, g, o = np.split(w_ih @ x + b_ih + w_hh @ h + b_hh, 4)
    c = _sigma(f) * c + _sigma(i) * np.tanh(g)
    return _sigma(o) * np.tanh(c), c


def _sigma(x: Reals) -> Reals:
    return 1 / (1 + np.exp(-x))
