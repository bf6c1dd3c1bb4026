"""What to say where a study or a trial is asked for that is not there."""

from __future__ import annotations

import difflib

from sqlalchemy import func, select

from hpo.errors import StudyNotFound, TrialNotFound
from hpo.results.database import Database
from hpo.results.schema import studies, trials

_NAMES_SHOWN = 20


def study_not_found(database: Database, name: str) -> StudyNotFound:
    """With the studies that there are, and the nearest name."""
    with database.reading() as connection:
        names = list(connection.scalars(select(studies.c.study_name).order_by(studies.c.study_name)))
    if name in names:
        return StudyNotFound(f"{name!r} is an Optuna study that hpo has not made: read it with  hpo query")
    if not names:
        return StudyNotFound(f"no study {name!r}: {database.url_masked} holds none;  hpo launch CONFIG  makes one")
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    listed = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    return StudyNotFound(f"no study {name!r} in {database.url_masked}{hint}: it holds {listed}")


def trial_not_found(database: Database, name: str, study_id: int, number: int) -> TrialNotFound:
    """With the numbers that there are."""
    with database.reading() as connection:
        last = connection.scalar(select(func.max(trials.c.number)).where(trials.c.study_id == study_id))
    if last is None:
        return TrialNotFound(f"the study {name!r} has no trial {number}: it has none yet")
    return TrialNotFound(f"the study {name!r} has no trial {number}: expected a number from 0 to {last}")
