"""What the newest suggestions of a study promised."""

from __future__ import annotations

from sqlalchemy import select

from hpo.records import Prospect
from hpo.results.database import Database
from hpo.results.schema import hpo_trial


def prospects(database: Database, study_id: int, newest: int) -> list[Prospect]:
    """Of the ``newest`` suggestions that had one, the last one last."""
    columns = (hpo_trial.c.prospect_gain, hpo_trial.c.prospect_noise)
    query = select(*columns).where(hpo_trial.c.study_id == study_id, hpo_trial.c.prospect_gain.is_not(None))
    with database.reading() as connection:
        rows = connection.execute(query.order_by(hpo_trial.c.trial_id.desc()).limit(newest)).all()
    return [Prospect(gain=gain, noise=noise) for gain, noise in reversed(rows)]
