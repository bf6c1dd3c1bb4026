"""The only reader: what people and programs ask about studies and trials. Imports no Optuna."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Select, func, select, text

from hpo.records import AdaptationCurve, CurvePoint, Estimate, sign
from hpo.results.clock import epoch_now
from hpo.results.counts import count, count_confirmations, count_trials, trained_seconds
from hpo.results.database import Database
from hpo.results.not_found import study_not_found, trial_not_found
from hpo.results.rows import (
    BestRow,
    CurveRow,
    RecordedTrial,
    RunningRow,
    StudyProgress,
    StudyRow,
    StudyStatus,
    StudySummary,
    TrialCounts,
    TrialDetail,
    TrialRow,
    WorkerRow,
)
from hpo.results.schema import Json, hpo_lease, hpo_study, hpo_trial, studies, study_directions, trials

__all__ = [
    "BestRow",
    "CurveRow",
    "RecordedTrial",
    "RunningRow",
    "StudyProgress",
    "StudyRow",
    "StudyStatus",
    "StudySummary",
    "TrialCounts",
    "TrialDetail",
    "TrialRow",
    "WorkerRow",
    "best",
    "count",
    "count_confirmations",
    "count_trials",
    "find_study",
    "likely_best",
    "luckiest",
    "measured_peaks",
    "progress",
    "recorded_trials",
    "running_studies",
    "study",
    "study_trials",
    "summaries",
    "trained_seconds",
    "trial",
    "workers",
]
_RATE_WINDOW = 20  # the newest ended trials, from which trials_per_hour is computed
_PEAKS = 20  # from which predictions of memory are corrected
_STUDIES = (
    select(
        studies.c.study_id,
        studies.c.study_name.label("name"),
        study_directions.c.direction,
        hpo_study.c.metric,
        hpo_study.c.status,
        hpo_study.c.priority,
        hpo_study.c.config,
        hpo_study.c.config_hash,
        hpo_study.c.code_version,
        hpo_study.c.created,
        hpo_study.c.candidates,
        hpo_study.c.stop_reason,
        hpo_study.c.warm_start,
    )
    .join(hpo_study, hpo_study.c.study_id == studies.c.study_id)
    .join(study_directions, study_directions.c.study_id == studies.c.study_id)
)
_AT_WORK = (
    select(func.count())
    .select_from(hpo_lease.join(hpo_trial, hpo_trial.c.trial_id == hpo_lease.c.trial_id))
    .where(hpo_trial.c.study_id == studies.c.study_id, hpo_lease.c.expires > epoch_now())
    .scalar_subquery()
)


def summaries(database: Database) -> list[StudySummary]:
    """Every study in the database, those that Optuna alone has made included, the oldest first."""
    return [StudySummary(**row._mapping) for row in _read(database, "SELECT * FROM hpo_studies ORDER BY study_id")]


def find_study(database: Database, name: str) -> StudyRow | None:
    """The study of this name that hpo has made, or None."""
    if not _can_be_stored(name):
        return None
    found = _study_rows(database, _STUDIES.where(studies.c.study_name == name))
    return found[0] if found else None


def _can_be_stored(name: str) -> bool:
    """What is no text (an argument in another encoding) no driver takes, and PostgreSQL stores no zero."""
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in name)


def study(database: Database, name: str) -> StudyRow:
    """The study of this name; StudyNotFound says which ones there are."""
    found = find_study(database, name)
    if found is None:
        raise study_not_found(database, name)
    return found


def running_studies(database: Database) -> list[StudyRow]:
    """Studies that workers may work on: the highest priority first, of these the one with the fewest trials at work.

    So studies of one priority share the workers alike; the oldest is first among equals.
    """
    running = _STUDIES.where(hpo_study.c.status == StudyStatus.RUNNING.value)
    return _study_rows(database, running.order_by(hpo_study.c.priority.desc(), _AT_WORK, studies.c.study_id))


def progress(database: Database, name: str) -> StudyProgress:
    """Where the study stands; raises StudyNotFound."""
    found = study(database, name)
    best_rows = _best(database, found.study_id, 1)
    counted = count(database, found.study_id)
    return StudyProgress(
        study=found,
        counts=counted.search,
        outcomes=_outcomes(database, found.study_id),
        best=best_rows[0] if best_rows else None,
        running=tuple(RunningRow(**row._mapping) for row in _read(database, _RUNNING, study_id=found.study_id)),
        workers=tuple(worker for worker in workers(database) if worker.study == name),
        trials_per_hour=_trials_per_hour(database, found.study_id),
        confirmations=counted.confirmations,
    )


def best(database: Database, name: str, top: int = 1) -> list[BestRow]:
    """The ``top`` best trials; fewer where fewer have completed.

    The confirmed first, by the mean over their new seeds; then by posterior mean where known, else by value. Those that
    violate a constraint come last.
    """
    return _best(database, study(database, name).study_id, top)


def luckiest(database: Database, study: StudyRow) -> BestRow | None:
    """The trial of the search with the best single value, of those that violate no constraint."""
    return _first_by(database, study, "value")


def likely_best(database: Database, study: StudyRow) -> BestRow | None:
    """Likewise, with the best posterior mean; None where no surrogate was asked."""
    return _first_by(database, study, "posterior_mean")


def study_trials(database: Database, name: str) -> list[TrialRow]:
    """All trials of the study by number; raises StudyNotFound."""
    sql = "SELECT * FROM hpo_trials WHERE study_id = :study_id ORDER BY number"
    rows = _read(database, sql, study_id=study(database, name).study_id)
    return [TrialRow(**row._mapping) for row in rows]


def recorded_trials(database: Database, study_id: int) -> list[RecordedTrial]:
    """Every trial of the study by number, with its params and its config."""
    return [RecordedTrial(**row._mapping) for row in _read(database, _RECORDED, study_id=study_id)]


def measured_peaks(database: Database, study_id: int, device: str) -> list[tuple[dict[str, Any], int]]:
    """Config and peak memory in bytes of the newest trials that ended on a device of this kind (``cpu``, ``cuda``)."""
    here = (hpo_trial.c.study_id == study_id, hpo_trial.c.device.startswith(device))
    measured = hpo_trial.c.peak_memory_bytes > 0
    query = select(hpo_trial.c.config, hpo_trial.c.peak_memory_bytes).where(*here, measured)
    with database.reading() as connection:
        newest = connection.execute(query.order_by(hpo_trial.c.trial_id.desc()).limit(_PEAKS))
        return [(config, peak) for config, peak in newest]


def trial(database: Database, name: str, number: int) -> TrialDetail:
    """Everything about one trial; raises StudyNotFound, and TrialNotFound with the numbers that there are."""
    study_id = study(database, name).study_id
    sql = "SELECT * FROM hpo_trials WHERE study_id = :study_id AND number = :number"
    rows = _read(database, sql, study_id=study_id, number=number)
    if not rows:
        raise trial_not_found(database, name, study_id, number)
    row = TrialRow(**rows[0]._mapping)
    with database.reading() as connection:
        config = connection.scalar(select(hpo_trial.c.config).where(hpo_trial.c.trial_id == row.trial_id))
    reports = tuple(CurveRow(**report._mapping) for report in _read(database, _REPORTS, trial_id=row.trial_id))
    return TrialDetail(row, config, reports, _curves(database, row.trial_id))


def workers(database: Database) -> list[WorkerRow]:
    """Workers that have shown themselves and were not removed, by host and device."""
    rows = _read(database, "SELECT * FROM hpo_workers ORDER BY host, device, pid")
    return [WorkerRow(**row._mapping) for row in rows]


_RUNNING = """
SELECT t.number, t.host, t.device, t.attempts, l.worker_id, t.confirms, t.started_at, c.meta_iteration, c.value, c.sem,
    c.seconds
FROM hpo_trials AS t
LEFT JOIN hpo_lease AS l ON l.trial_id = t.trial_id
LEFT JOIN hpo_curves AS c ON c.trial_id = t.trial_id AND c.meta_iteration = (
    SELECT max(i.step) FROM trial_intermediate_values AS i WHERE i.trial_id = t.trial_id)
WHERE t.study_id = :study_id AND t.state = 'RUNNING' ORDER BY t.number"""

_RECORDED = """
SELECT t.trial_id, t.number, t.state, t.parameters, h.config
FROM hpo_trials AS t LEFT JOIN hpo_trial AS h ON h.trial_id = t.trial_id
WHERE t.study_id = :study_id ORDER BY t.number"""

_REPORTS = """
SELECT number, meta_iteration, value, sem, seconds FROM hpo_curves WHERE trial_id = :trial_id ORDER BY meta_iteration"""

_BEST = """
SELECT b.*, h.config FROM hpo_best_configs AS b LEFT JOIN hpo_trial AS h ON h.trial_id = b.trial_id
WHERE b.study_id = :study_id AND b.rank <= :top ORDER BY b.rank"""

_FIRST_BY = """
SELECT b.*, h.config FROM hpo_best_configs AS b LEFT JOIN hpo_trial AS h ON h.trial_id = b.trial_id
WHERE b.trial_id = (
    SELECT c.trial_id FROM hpo_best_configs AS c WHERE c.study_id = :study_id AND c.{column} IS NOT NULL
        AND c.violated IS NULL
    ORDER BY :sign * c.{column}, c.number LIMIT 1)"""


def _best(database: Database, study_id: int, top: int) -> list[BestRow]:
    return [BestRow(**row._mapping) for row in _read(database, _BEST, study_id=study_id, top=top)]


def _first_by(database: Database, study: StudyRow, column: str) -> BestRow | None:
    rows = _read(database, _FIRST_BY.format(column=column), study_id=study.study_id, sign=sign(study.direction))
    return BestRow(**rows[0]._mapping) if rows else None


def _outcomes(database: Database, study_id: int) -> dict[str, int]:
    ended = select(hpo_trial.c.outcome, func.count()).where(hpo_trial.c.outcome.is_not(None))
    ended = ended.where(hpo_trial.c.confirms.is_(None))
    with database.reading() as connection:
        query = ended.where(hpo_trial.c.study_id == study_id).group_by(hpo_trial.c.outcome)
        return dict(connection.execute(query.order_by(hpo_trial.c.outcome)).all())


def _trials_per_hour(database: Database, study_id: int) -> float | None:
    ended = (trials.c.study_id == study_id, trials.c.datetime_complete.is_not(None))
    query = select(trials.c.datetime_complete).where(*ended).order_by(trials.c.datetime_complete.desc())
    with database.reading() as connection:
        times: list[datetime] = list(connection.scalars(query.limit(_RATE_WINDOW)))
    if len(times) < 2 or times[0] == times[-1]:
        return None
    return 3600.0 * (len(times) - 1) / (times[0] - times[-1]).total_seconds()


def _curves(database: Database, trial_id: int) -> tuple[AdaptationCurve, ...]:
    sql = "SELECT * FROM hpo_adaptation_curves WHERE trial_id = :trial_id ORDER BY split DESC, inner_step"
    rows = _read(database, sql, trial_id=trial_id)
    by_split = groupby(rows, key=lambda row: (str(row.split), int(row.tasks)))
    return tuple(
        AdaptationCurve(split=split, tasks=tasks, points=tuple(_point(row) for row in points))
        for (split, tasks), points in by_split
    )


def _point(row: Row[Any]) -> CurvePoint:
    accuracy = None if row.accuracy is None else _estimate(row.accuracy, row.accuracy_sem)
    return CurvePoint(inner_step=row.inner_step, loss=_estimate(row.loss, row.loss_sem), accuracy=accuracy)


def _estimate(mean: float | None, sem: float | None) -> Estimate:
    return Estimate(mean=math.nan if mean is None else mean, sem=math.nan if sem is None else sem)


def _study_rows(database: Database, query: Select[Any]) -> list[StudyRow]:
    with database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return [_study_row(dict(row)) for row in rows]


def _study_row(row: dict[str, Any]) -> StudyRow:
    direction, status = row.pop("direction").lower(), StudyStatus(row.pop("status"))
    return StudyRow(**{**row, "direction": direction, "status": status, "warm_start": tuple(row["warm_start"] or ())})


def _read(database: Database, sql: str, **values: object) -> Sequence[Row[Any]]:
    with database.reading() as connection:
        return connection.execute(text(sql).columns(parameters=Json, config=Json), values).all()
