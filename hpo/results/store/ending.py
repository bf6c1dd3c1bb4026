"""Writing how a study's search has ended, or that it goes on."""

from __future__ import annotations

from sqlalchemy import update

from hpo.results.database import Database
from hpo.results.schema import hpo_study, hpo_trial


def stop_search(database: Database, study_id: int, reason: str) -> None:
    """No trial of the search is begun any more; those that run go on."""
    with database.transaction() as connection:
        connection.execute(update(hpo_study).where(hpo_study.c.study_id == study_id).values(stop_reason=reason))


def reopen_search(database: Database, study_id: int) -> None:
    """Forgets how the search ended: another config may go on with it, and choose other candidates when it ends.

    What suggestions promised is forgotten too: it was said of the config before.
    """
    with database.transaction() as connection:
        study = update(hpo_study).where(hpo_study.c.study_id == study_id)
        connection.execute(study.values(candidates=None, stop_reason=None))
        of_study = update(hpo_trial).where(hpo_trial.c.study_id == study_id)
        connection.execute(of_study.values(prospect_gain=None, prospect_noise=None))
