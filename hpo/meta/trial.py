"""What a trial works with: its tasks, its learner, its device. All of it follows from the config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hpo.config import TrialConfig
from hpo.errors import InputError
from hpo.meta.cells import Params
from hpo.meta.learners import Learner, learner_of
from hpo.meta.tasks import Classes, Split, TaskBatch, TaskFamily, check, task_family

# Validation and test tasks are the same for all trials (common random numbers). Above every training.seed.
_FIXED_TASKS = 2**31


@dataclass(frozen=True)
class Trial:
    """One config, ready to be meta-trained or evaluated on ``device``."""

    config: TrialConfig
    device: torch.device
    family: TaskFamily
    learner: Learner

    @classmethod
    def of(cls, config: TrialConfig, device: torch.device) -> Trial:
        """Raises InputError where family, objective or network do not fit each other."""
        family = task_family(config.tasks)
        if config.objective.metric == "query_accuracy" and not isinstance(family.output, Classes):
            raise InputError(
                f"objective.metric: found query_accuracy, but tasks.kind {config.tasks.kind} is a regression:"
                " expected query_loss"
            )
        return cls(config, device, family, learner_of(config, family))

    @property
    def whole_curve(self) -> range:
        """From 0 to training.eval_steps, or far enough for the objective."""
        given, twice = self.config.objective.inner_steps, 2 * self.learner.inner_steps
        return range((self.config.training.eval_steps or (max(given, twice) if isinstance(given, int) else twice)) + 1)

    @property
    def objective_steps(self) -> Sequence[int]:
        """The numbers of inner steps among which the objective is the best."""
        match self.config.objective.inner_steps:
            case "trained":
                return [self.learner.inner_steps]
            case "best":
                return self.whole_curve[1:]
            case given:
                return [given]

    def initial_parameters(self) -> Params:
        """Fresh meta-parameters from training.seed."""
        generator = torch.Generator().manual_seed(self.config.training.seed)
        return {name: tensor.to(self.device) for name, tensor in self.learner.init(generator).items()}

    def fresh_network(self) -> Params:
        """The network's own parameters as nobody has trained them, from training.seed."""
        generator = torch.Generator().manual_seed(self.config.training.seed)
        return {name: tensor.to(self.device) for name, tensor in self.learner.network.init(generator).items()}

    def meta_batch(self, meta_iteration: int) -> TaskBatch:
        """The training tasks of one meta-iteration: a function of seed and number, so there is no state to keep."""
        training = self.config.training
        return self._sample(Split.TRAIN, training.meta_batch, [training.seed, meta_iteration])

    def fixed_tasks(self, split: Split, tasks: int) -> TaskBatch:
        """The same tasks for every trial of these task options, whatever its seed."""
        return self._sample(split, tasks, [_FIXED_TASKS, list(Split).index(split)])

    def _sample(self, split: Split, tasks: int, seed: list[int]) -> TaskBatch:
        batch = self.family.sample(split, tasks, np.random.default_rng(seed))
        return check(batch, self.family, tasks).to(self.device)
