"""An Optuna study as the sampler sees it: observations to be minimized, and params that are being tried."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpo.records import Observation, Outcome
from hpo.sampler.domain import Domain

OUTCOME_ATTRIBUTE = "outcome"  # user attribute of a trial: why it failed, as a value of hpo.records.Outcome


@dataclass(frozen=True)
class History:
    """``unknown``: how many earlier trials were started whose params cannot be seen yet."""

    observations: tuple[Observation, ...]
    pending: tuple[Mapping[str, Any], ...]
    unknown: int


def history(study: Study, domain: Domain, number: int | None = None) -> History:
    """What is known when trial ``number`` is to get its params; None: a trial that is not there yet."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.number != number]
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    # a trial that was let go with its params set waits to be continued
    open_trials = running + [trial for trial in trials if trial.state is TrialState.WAITING]
    pending = [trial.params for trial in open_trials if domain.contains(trial.params)]
    unknown = sum(not domain.contains(trial.params) for trial in running if number is None or trial.number < number)
    return History(tuple(_observations(trials, sign(study))), tuple(pending), unknown)


def sign(study: Study) -> float:
    """What a value of the study is multiplied with to be minimized."""
    return -1.0 if study.direction is StudyDirection.MAXIMIZE else 1.0


def _observations(trials: Iterable[FrozenTrial], sign: float) -> Iterable[Observation]:
    for trial in trials:
        if trial.state.is_finished():
            value = _value(trial)
            yield Observation(
                number=trial.number,
                params=trial.params,
                outcome=_outcome(trial),
                value=None if value is None else sign * value,
            )


def _outcome(trial: FrozenTrial) -> Outcome:
    match trial.state:
        case TrialState.COMPLETE:
            # Optuna takes an infinite value for a result
            return Outcome.OK if math.isfinite(trial.value or 0.0) else Outcome.DIVERGED
        case TrialState.PRUNED:
            return Outcome.PRUNED
        case _:
            reason = trial.user_attrs.get(OUTCOME_ATTRIBUTE)
            return Outcome(reason) if reason in set(Outcome) else Outcome.ERROR


def _value(trial: FrozenTrial) -> float | None:
    if trial.state is TrialState.COMPLETE:
        return trial.value
    return trial.intermediate_values[trial.last_step] if trial.last_step is not None else None
