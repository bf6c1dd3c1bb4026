"""Meta-learning algorithms, one a file; base.py says what one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpo.config import TrialConfig
from hpo.meta.learners.base import Learner, Predictor, adapt
from hpo.meta.learners.maml import Maml
from hpo.meta.network import Network
from hpo.meta.tasks.base import TaskFamily

LEARNERS: dict[str, Callable[[Any, Network], Learner]] = {"maml": Maml}

__all__ = ["LEARNERS", "Learner", "Predictor", "adapt", "learner_of"]


def learner_of(config: TrialConfig, family: TaskFamily) -> Learner:
    """The learner that ``learner.kind`` names, with the network of ``model`` for this family's tasks."""
    return LEARNERS[config.learner.kind](config.learner, Network.of(config.model, family))
