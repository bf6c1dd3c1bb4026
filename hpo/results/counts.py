"""How many trials of a study there are, by state."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select

from hpo.results.database import Database
from hpo.results.rows import TrialCounts
from hpo.results.schema import hpo_trial, trials

_STATES = {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def count_trials(database: Database, study_id: int) -> TrialCounts:
    """Trials of the study's search by state: those that repeat others with new seeds are no trials of it."""
    return _count(database, study_id, hpo_trial.c.confirms.is_(None))


def count_confirmations(database: Database, study_id: int) -> TrialCounts:
    """Trials that repeat others with new seeds, by state."""
    return _count(database, study_id, hpo_trial.c.confirms.is_not(None))


def _count(database: Database, study_id: int, which: ColumnElement[bool]) -> TrialCounts:
    known = trials.outerjoin(hpo_trial, hpo_trial.c.trial_id == trials.c.trial_id)
    counted = (trials.c.study_id == study_id, which)
    by_state = select(trials.c.state, func.count()).select_from(known).where(*counted).group_by(trials.c.state)
    let_go = select(func.count()).select_from(known).where(*counted, hpo_trial.c.trial_id.is_not(None))
    let_go = let_go.where(trials.c.state == "WAITING")
    with database.reading() as connection:
        counts = {_STATES[state]: count for state, count in connection.execute(by_state)}
        begun_before = connection.scalar(let_go) or 0
    counts["waiting"] = counts.get("waiting", 0) - begun_before
    return TrialCounts(**counts, let_go=begun_before)
