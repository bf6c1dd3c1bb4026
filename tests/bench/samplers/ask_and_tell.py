"""A peer with an interface of its own, as one of Optuna's samplers."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from hpo.records import OUTCOME_ATTRIBUTE
from hpo.sampler import distributions
from hpo.space import Params, Space


class Peer(Protocol):
    """Proposes; has no initial design."""

    def tell(self, params: Params, value: float | None) -> None:
        """What a trial gave; None: it failed. The params need not be what was asked for last."""

    def ask(self) -> Params:
        """Every dimension."""


class AskAndTell(BaseSampler):
    """``peer`` is told what has ended since it was last asked: what that costs is part of the ask, as with the others.

    Of one study without conditions whose trials run one after another.
    """

    def __init__(self, peer: Peer, space: Space) -> None:
        self._peer = peer
        self._distributions = distributions(space)
        self._told = 0

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space, always."""
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of all dimensions; none of a trial that was enqueued with its own."""
        if "fixed_params" in trial.system_attrs:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is not the reader's to mend
            for ended in study.get_trials(deepcopy=False)[self._told : trial.number]:
                self._tell(ended)
            self._told = trial.number
            return self._peer.ask()

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never: the peer proposes every dimension."""
        raise ValueError(f"{param_name}: the peer proposed nothing that {param_distribution} has")

    def _tell(self, ended: FrozenTrial) -> None:
        if ended.state is TrialState.COMPLETE:
            self._peer.tell(ended.params, ended.value)
        elif OUTCOME_ATTRIBUTE in ended.user_attrs:  # a failure without a reason was not tried
            self._peer.tell(ended.params, None)
