"""Writing studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from hpo.config.training import Direction
from hpo.errors import StudyConflict, StudyNotFound
from hpo.results.clock import epoch_now
from hpo.results.database import Database
from hpo.results.rows import StudyStatus
from hpo.results.schema import hpo_study, studies, trial_params
from hpo.results.store.params import param_rows
from hpo.space import Params

_METRIC_NAMES = "study:metric_names"  # the system attribute behind optuna.Study.metric_names


def create_study(
    database: Database,
    *,
    name: str,
    direction: Direction,
    metric: str,
    config: dict[str, Any],
    config_hash: str,
    code_version: str,
    priority: int = 0,
    task_descriptor: dict[str, Any] | None = None,
    warm_start: Sequence[str] = (),
) -> int:
    """Optuna's study and hpo's row, together or not at all; the study_id.

    Where another process was faster with the same config, its study_id. Raises StudyConflict where the name is taken by
    a study with another config, or by one that hpo has not made.
    """
    row = {
        "metric": metric,
        "config": config,
        "config_hash": config_hash,
        "status": StudyStatus.RUNNING,
        "priority": priority,
        "code_version": code_version,
        "task_descriptor": task_descriptor,
        "warm_start": list(warm_start) or None,
    }
    try:
        with database.transaction() as connection:
            storage = database.optuna_storage.within(connection)
            study_id = storage.create_new_study([StudyDirection[direction.upper()]], name)
            storage.set_study_system_attr(study_id, _METRIC_NAMES, [metric])
            connection.execute(insert(hpo_study).values(study_id=study_id, created=epoch_now(), ask_floor=0, **row))
    except DuplicatedStudyError:
        return _existing(database, name, config_hash)
    return study_id


def _existing(database: Database, name: str, config_hash: str) -> int:
    query = (
        select(studies.c.study_id, hpo_study.c.config_hash)
        .select_from(studies.outerjoin(hpo_study, hpo_study.c.study_id == studies.c.study_id))
        .where(studies.c.study_name == name)
    )
    with database.reading() as connection:
        study_id, found = connection.execute(query).one()
    if found is None:
        raise StudyConflict(f"{name!r} is an Optuna study that hpo has not made: give the new study another name")
    if found != config_hash:
        raise StudyConflict(f"the study {name!r} exists with another config: launch with that, or take another name")
    return int(study_id)


def update_study_config(
    database: Database,
    study_id: int,
    config: dict[str, Any],
    config_hash: str,
    params: Mapping[int, Params] | None = None,
    distributions: Mapping[str, BaseDistribution] | None = None,
    *,
    priority: int | None = None,
) -> None:
    """Replaces the config; raises StudyNotFound.

    ``priority``: another one than it has.
    ``params``: trial_id -> its params in the new search space, whose ``distributions`` they are given: Optuna refuses a
    second list of choices in one study, and its samplers leave out a parameter whose bounds are not those of all
    trials. An ``optuna.Study`` that was loaded before still holds the old ones.
    """
    with database.transaction() as connection:
        urgency = {} if priority is None else {"priority": priority}
        _update(database, connection, study_id, config=config, config_hash=config_hash, **urgency)
        _restate(connection, params or {}, distributions or {})


def set_status(database: Database, study_id: int, status: StudyStatus | str) -> None:
    """running, paused, stopped or done; raises StudyNotFound, and ValueError for another status."""
    with database.transaction() as connection:
        _update(database, connection, study_id, status=StudyStatus(status))


def set_warm_start(database: Database, study_id: int, names: Sequence[str]) -> None:
    """Replaces the studies whose trials are data of this one; raises StudyNotFound."""
    with database.transaction() as connection:
        _update(database, connection, study_id, warm_start=list(names) or None)


def _update(database: Database, connection: Connection, study_id: int, **values: Any) -> None:
    changed = connection.execute(update(hpo_study).where(hpo_study.c.study_id == study_id).values(**values))
    if changed.rowcount == 0:
        raise StudyNotFound(f"{database.url_masked}: there is no study with study_id {study_id} (was it deleted?)")


def _restate(
    connection: Connection, params: Mapping[int, Params], distributions: Mapping[str, BaseDistribution]
) -> None:
    """Parameters that ``distributions`` do not name are none of hpo's and stay as they are."""
    rows = [row for trial_id, of_trial in params.items() for row in param_rows(trial_id, of_trial, distributions)]
    if rows:
        same = (trial_params.c.trial_id == bindparam("of_trial"), trial_params.c.param_name == bindparam("name"))
        connection.execute(
            delete(trial_params).where(*same),
            [{"of_trial": row["trial_id"], "name": row["param_name"]} for row in rows],
        )
        connection.execute(insert(trial_params), rows)
