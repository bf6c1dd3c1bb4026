"""What the new seeds of a study's candidates gave."""

from __future__ import annotations

from sqlalchemy import select

from hpo.ranking import Confirmed, ranking
from hpo.records import Outcome
from hpo.results.database import Database
from hpo.results.rows import StudyRow
from hpo.results.schema import hpo_trial


def confirmed(database: Database, study: StudyRow) -> tuple[Confirmed, ...]:
    """The candidates, the best first; empty until every planned training has ended."""
    rows = _repeats(database, study.study_id)
    if any(outcome is None for _, _, outcome, _ in rows):
        return ()
    values: dict[int, dict[int, float | None]] = {}
    for confirms, seed, outcome, value in rows:
        values.setdefault(confirms, {})[seed] = value if outcome == Outcome.OK else None
    return ranking(values, study.direction)


def planned_seeds(database: Database, study_id: int) -> set[tuple[int, int]]:
    """(number of the trial that is repeated, new seed) of every training that was planned, ended or not."""
    return {(confirms, seed) for confirms, seed, _, _ in _repeats(database, study_id)}


def _repeats(database: Database, study_id: int) -> list[tuple[int, int, str | None, float | None]]:
    columns = (hpo_trial.c.confirms, hpo_trial.c.seed, hpo_trial.c.outcome, hpo_trial.c.objective_mean)
    query = select(*columns).where(hpo_trial.c.study_id == study_id, hpo_trial.c.confirms.is_not(None))
    with database.reading() as connection:
        return [(*row,) for row in connection.execute(query.order_by(hpo_trial.c.trial_id))]
