"""A study from its config: created, or resumed with what has changed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import hpo
from hpo.config import StudyConfig
from hpo.config.difference import describe, differences
from hpo.earlier_trials import in_changed_space, or_warm_start, require_sources
from hpo.errors import StudyConflict
from hpo.results import queries, store
from hpo.results.engine import Database
from hpo.sampler import distributions
from hpo.space import Space
from hpo.study import Study


def create_or_resume(config: StudyConfig, database: Database, warm_start: Sequence[str] = ()) -> Study:
    """The study of this name, new or as it stands; raises StudyConflict where it has another config.

    ``warm_start``: names of other studies whose trials are data of this one, from now on; those that it has stay.
    """
    require_sources(database, config, warm_start)
    existing = queries.find_study(database, config.name)
    if existing is None:
        store.create_study(
            database,
            name=config.name,
            direction=config.objective.direction,
            metric=config.objective.metric,
            config=config.meaning(),
            config_hash=config.hash,
            code_version=hpo.__version__,
            priority=config.execution.priority,
            task_descriptor=config.meaning()["tasks"],
            warm_start=warm_start,
        )
    else:
        _take_changes(existing.study_id, StudyConfig.from_dict(existing.config), config, database)
    row = queries.study(database, config.name)
    if more := [name for name in warm_start if name not in row.warm_start]:
        store.set_warm_start(database, row.study_id, [*row.warm_start, *more])
        row = queries.study(database, config.name)
    return Study.of(database, row)


def _take_changes(study_id: int, old: StudyConfig, new: StudyConfig, database: Database) -> None:
    changes = differences(old, new)
    if refused := [change for change in changes if not change.allowed]:
        raise StudyConflict(
            f"the study {new.name!r} exists with another config:\n{describe(refused)}\n"
            f"Launch with the config it has, or give the changed one another name{or_warm_start(new.name)}."
        )
    if changes:
        with store.asking(database, study_id, f"launch-{uuid.uuid4().hex}"):  # no worker is to mix the two
            params = in_changed_space(database, study_id, old, new) if old.search != new.search else {}
            space = Space.from_search(new.search, new.fixed_values())
            store.update_study_config(
                database,
                study_id,
                new.meaning(),
                new.hash,
                params,
                distributions(space),
                priority=new.execution.priority,
            )
            if not all(change.path.startswith("execution.") for change in changes):
                store.reopen_search(database, study_id)
    store.set_status(database, study_id, "done" if Study(database, study_id, new).is_done() else "running")
