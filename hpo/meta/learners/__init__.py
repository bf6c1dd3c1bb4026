"""Meta-learning algorithms, one a file; base.py says what one is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hpo.config import TrialConfig
from hpo.meta.learners.anil import Anil
from hpo.meta.learners.base import Learner, Predictor, adapt
from hpo.meta.learners.fused_maml import FusedMaml
from hpo.meta.learners.lstm_meta_learner import LstmMetaLearner
from hpo.meta.learners.maml import Maml
from hpo.meta.learners.mann import Mann
from hpo.meta.learners.matching import Matching
from hpo.meta.learners.memory_bank import MemoryBank
from hpo.meta.learners.meta_rnn import MetaRnn
from hpo.meta.learners.meta_sgd import MetaSgd
from hpo.meta.learners.metaoptnet import MetaOptNet
from hpo.meta.learners.prototypical import Prototypical
from hpo.meta.learners.reptile import Reptile
from hpo.meta.network import Network, Shaped

LEARNERS: dict[str, Callable[[Any, Network], Learner]] = {
    "maml": Maml,
    "anil": Anil,
    "meta_sgd": MetaSgd,
    "memory_bank": MemoryBank,
    "reptile": Reptile,
    "lstm_meta_learner": LstmMetaLearner,
    "prototypical": Prototypical,
    "matching": Matching,
    "metaoptnet": MetaOptNet,
    "meta_rnn": MetaRnn,
    "mann": Mann,
}

__all__ = ["LEARNERS", "Learner", "Predictor", "adapt", "fused_learner", "learner_of"]


def learner_of(config: TrialConfig, family: Shaped) -> Learner:
    """The learner that ``learner.kind`` names, with the network of ``model`` for tasks of this shape."""
    return LEARNERS[config.learner.kind](config.learner, Network.of(config.model, family))


def fused_learner(learners: Sequence[Learner]) -> FusedMaml:
    """Learners of one network, as one program with a trial axis."""
    trials = [learner for learner in learners if isinstance(learner, Maml)]
    assert len(trials) == len(learners)  # no other one is fusible
    return FusedMaml(trials)
