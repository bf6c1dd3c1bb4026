"""A study as its pruner sees it."""

from __future__ import annotations

from collections.abc import Container

import optuna
from optuna.trial import FrozenTrial, TrialState


class Competitors(optuna.Study):
    """Without trials that are known to violate a constraint.

    Where these are the better ones, all others would be pruned for being worse, and no config be left that can be used.
    """

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """As of the study."""
        trials = super().get_trials(deepcopy, states)
        return [trial for trial in trials if all(excess <= 0.0 for excess in trial.constraints.values())]
