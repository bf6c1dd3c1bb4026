"""Looks at a study in the database again and again, cheaply."""

from __future__ import annotations

import socket
import time

from hpo.cli.progress import EndedTrial, Progress, RunningTrial
from hpo.config import StudyConfig
from hpo.records import Estimate, Outcome
from hpo.results import queries
from hpo.results.engine import Database
from hpo.results.rows import RunningRow, StudyProgress, TrialRow


class Watch:
    """``look`` reads all ended trials only when their number has changed."""

    def __init__(self, database: Database, config: StudyConfig) -> None:
        self._database = database
        self._config = config
        self._begun_s = time.monotonic()
        self._ended: tuple[EndedTrial, ...] = ()
        self._confirmations: tuple[EndedTrial, ...] = ()
        self._meta_iterations: dict[int, int] = {}

    def look(self) -> Progress:
        """The study as it stands; raises StudyNotFound where somebody has deleted it."""
        found = queries.progress(self._database, self._config.name)
        if found.counts.ended + found.confirmations.ended != len(self._ended) + len(self._confirmations):
            ended = ended_trials(self._database, self._config.name)
            self._ended = tuple(trial for trial in ended if trial.confirms is None)
            self._confirmations = tuple(trial for trial in ended if trial.confirms is not None)
        return Progress(
            study=self._config.name,
            status=found.study.status,
            direction=self._config.objective.direction,
            total=self._config.stop.trials if found.study.stop_reason is None else found.counts.begun,
            ended=self._ended,
            running=tuple(self._running(row) for row in found.running if row.worker_id is not None),
            elapsed_s=time.monotonic() - self._begun_s,
            stop_reason=found.study.stop_reason,
            to_confirm=self._to_confirm(found),
            confirmations=self._confirmations,
        )

    def _to_confirm(self, found: StudyProgress) -> int:
        """As many as are planned; before that as many as there will be where enough trials are trained to their end."""
        if found.study.candidates is not None:
            return found.confirmations.begun
        return max(found.confirmations.begun, self._config.stop.confirm * self._config.stop.confirm_seeds)

    def _running(self, row: RunningRow) -> RunningTrial:
        local = row.host in (None, socket.gethostname())
        return RunningTrial(
            number=row.number,
            where=str(row.device) if local else f"{row.host} {row.device}",
            meta_iteration=row.meta_iteration or 0,
            meta_iterations=self._total(row.number),
            objective=_estimate(row.value, row.sem),
            confirms=row.confirms,
        )

    def _total(self, number: int) -> int:
        """Meta-iterations of a trial: they may be searched, so each trial's own config is asked, once."""
        if number not in self._meta_iterations:
            config = queries.trial(self._database, self._config.name, number).config
            training = config["training"] if config is not None else {}
            self._meta_iterations[number] = training.get("meta_iterations", self._config.training.meta_iterations)
        return self._meta_iterations[number]


def ended_trials(database: Database, study: str) -> tuple[EndedTrial, ...]:
    """In the order in which they ended."""
    rows = [row for row in queries.study_trials(database, study) if row.state in ("COMPLETE", "PRUNED", "FAIL")]
    return tuple(_ended(row) for row in sorted(rows, key=lambda row: (row.completed_at or "", row.number)))


def _ended(row: TrialRow) -> EndedTrial:
    # No outcome: another Optuna tool has ended the trial.
    by_state = {"COMPLETE": Outcome.OK, "PRUNED": Outcome.PRUNED}.get(row.state, Outcome.ERROR)
    return EndedTrial(
        number=row.number,
        outcome=Outcome(row.outcome) if row.outcome is not None else by_state,
        objective=_estimate(row.value, row.sem),
        seconds=row.seconds or 0.0,
        reason=row.reason,
        confirms=row.confirms,
        violated=row.violated,
    )


def _estimate(value: float | None, sem: float | None) -> Estimate | None:
    return Estimate(mean=value, sem=sem or 0.0) if value is not None else None
