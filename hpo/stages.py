"""What a study still has to do: its search, then new seeds for its likely best configs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from hpo.config.execution import StopConfig
from hpo.ranking import candidates
from hpo.records import Outcome
from hpo.results import confirmations, queries, store
from hpo.results.database import Database
from hpo.results.prospects import prospects
from hpo.results.rows import StudyRow, TrialCounts, TrialRow
from hpo.settling import SUGGESTIONS, is_settled, reason
from hpo.space import Space, is_near

SEEDS = 2**31  # training.seed is below


class Budget(NamedTuple):
    """Trials of the search that are ``left`` to be begun; ``enqueued``: by hand, with params of their own."""

    left: int
    enqueued: int


@dataclass(frozen=True)
class Stages:
    """Of one study; all that it knows is in the database, so any worker goes on where another one ended."""

    database: Database
    study_id: int
    name: str
    space: Space

    def trials_left(self) -> int:
        """How many trials of the search are still to be asked for: by now, as somebody may have raised their number."""
        return self.budget().left

    def budget(self) -> Budget:
        """What is still to be asked for, and how many trials wait in Optuna's queue to be the next."""
        row = self._row()
        if row.stop_reason is not None:
            return Budget(0, 0)
        search = queries.count_trials(self.database, self.study_id)
        return Budget(_stop(row).trials - search.begun, search.waiting)

    def stop_early(self) -> None:
        """Ends the search where its config asks for that before all trials; only for who holds the ask lock."""
        stop = _stop(self._row())
        if (left := self.trials_left()) > 0 and (why := self._exhausted(stop.hours) or self._settled(stop, left)):
            store.stop_search(
                self.database, self.study_id, f"after {stop.trials - left} of {stop.trials} trials: {why}"
            )

    def _exhausted(self, hours: float | None) -> str | None:
        if hours is None:
            return None
        used = queries.trained_seconds(self.database, self.study_id) / 3600
        return f"trained for {used:.3g} hours, of {hours:.3g}" if used >= hours else None

    def _settled(self, stop: StopConfig, left: int) -> str | None:
        if not stop.when_settled:
            return None
        newest = prospects(self.database, self.study_id, SUGGESTIONS)
        return reason(newest[-1], left) if is_settled(newest, left) else None

    def is_confirmation_due(self) -> bool:
        """Whether the search is over and the configs that are to be confirmed were not chosen yet."""
        row = self._row()
        if row.candidates is not None or _stop(row).confirm == 0:
            return False
        return _is_searched(row, queries.count_trials(self.database, self.study_id))

    def is_done(self) -> bool:
        """Whether as many trials have ended as the study asks for by now, and those that confirm the best of them."""
        row = self._row()
        search, repeats = queries.count(self.database, self.study_id)
        is_planned = row.candidates is not None or _stop(row).confirm == 0
        return is_planned and repeats.begun == repeats.ended and _is_searched(row, search)

    def plan_confirmation(self) -> None:
        """Chooses the candidates by what is expected of them now, and adds the trainings that are missing.

        Only for who holds the ask lock: then it is done once.
        """
        row = self._row()
        trials = self._finished()
        points = {trial.number: self.space.encode(trial.parameters) for trial in trials}
        chosen = candidates(
            {trial.number: _expected(trial) for trial in trials},
            row.direction,
            _stop(row).confirm,
            alike=lambda number, other: is_near(points[number], points[other]),
        )
        store.plan_confirmation(self.database, self.study_id, chosen, list(self._missing(chosen, _stop(row))))

    def record_confirmed(self) -> None:
        """Keeps what the new seeds gave, once all of them have ended."""
        store.record_confirmed(self.database, self.study_id, confirmations.confirmed(self.database, self._row()))

    def _finished(self) -> list[TrialRow]:
        """Trials of the search that were trained to their end and violate no constraint."""
        rows = [row for row in queries.study_trials(self.database, self.name) if row.outcome == Outcome.OK]
        return [row for row in rows if row.confirms is None and row.value is not None and row.violated is None]

    def _missing(self, chosen: tuple[int, ...], stop: StopConfig) -> Iterator[store.Repeat]:
        """Seed by seed, so that an early look compares candidates by the same ones."""
        planned = confirmations.planned_seeds(self.database, self.study_id)
        configs = {number: queries.trial(self.database, self.name, number).config_to_repeat for number in chosen}
        for k in range(1, stop.confirm_seeds + 1):
            for number, config in configs.items():
                seed = (config["training"]["seed"] + k) % SEEDS
                if (number, seed) not in planned:
                    yield store.Repeat(number, seed, _with_seed(config, seed))

    def _row(self) -> StudyRow:
        return queries.study(self.database, self.name)


def _is_searched(row: StudyRow, search: TrialCounts) -> bool:
    return search.ended >= (_stop(row).trials if row.stop_reason is None else search.begun)


def _expected(trial: TrialRow) -> float:
    """The posterior mean; the value where no surrogate was asked."""
    assert trial.value is not None
    return trial.value if trial.posterior_mean is None else trial.posterior_mean


def _with_seed(config: dict[str, Any], seed: int) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    changed["training"]["seed"] = seed
    return changed


def _stop(row: StudyRow) -> StopConfig:
    return StopConfig(**row.config["stop"])
