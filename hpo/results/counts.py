"""How many trials of a study there are, by state."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func, select

from hpo.results.database import Database
from hpo.results.rows import Counted, TrialCounts
from hpo.results.schema import hpo_report, hpo_trial, trials

_STATES = {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def count(database: Database, study_id: int) -> Counted:
    """Trials of the study's search, and apart those that repeat others with new seeds; in one statement."""
    confirms, begun = hpo_trial.c.confirms.is_not(None), hpo_trial.c.trial_id.is_not(None)
    known = trials.outerjoin(hpo_trial, hpo_trial.c.trial_id == trials.c.trial_id)
    query = select(confirms, trials.c.state, begun, func.count()).select_from(known)
    query = query.where(trials.c.study_id == study_id).group_by(confirms, trials.c.state, begun)
    search: Counter[str] = Counter()
    repeats: Counter[str] = Counter()
    with database.reading() as connection:
        for is_repeat, state, is_begun, number in connection.execute(query):
            name = "let_go" if state == "WAITING" and is_begun else _STATES[state]
            (repeats if is_repeat else search)[name] += number
    return Counted(TrialCounts(**search), TrialCounts(**repeats))


def count_trials(database: Database, study_id: int) -> TrialCounts:
    """Trials of the study's search by state: those that repeat others with new seeds are no trials of it."""
    return count(database, study_id).search


def count_confirmations(database: Database, study_id: int) -> TrialCounts:
    """Trials that repeat others with new seeds, by state."""
    return count(database, study_id).confirmations


def trained_seconds(database: Database, study_id: int) -> float:
    """For which the trials of the search were trained, all together; those that run: until they last reported."""
    reported = select(func.max(hpo_report.c.seconds)).where(hpo_report.c.trial_id == hpo_trial.c.trial_id)
    seconds = func.coalesce(hpo_trial.c.seconds, reported.scalar_subquery(), 0.0)
    query = select(func.sum(seconds)).where(hpo_trial.c.study_id == study_id, hpo_trial.c.confirms.is_(None))
    with database.reading() as connection:
        return connection.scalar(query) or 0.0
