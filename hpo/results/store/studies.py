"""Writing studies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection
from sqlalchemy import Connection, insert, select, update

from hpo.errors import StudyConflict, StudyNotFound
from hpo.results.clock import epoch_now
from hpo.results.database import Database
from hpo.results.rows import StudyStatus
from hpo.results.schema import hpo_study, studies, trial_params, trials

_METRIC_NAMES = "study:metric_names"  # the system attribute behind optuna.Study.metric_names
_Choice = bool | int | float | str


def create_study(
    database: Database,
    *,
    name: str,
    direction: str,
    metric: str,
    config: dict[str, Any],
    config_hash: str,
    code_version: str,
    priority: int = 0,
    task_descriptor: dict[str, Any] | None = None,
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


def update_study_config(database: Database, study_id: int, config: dict[str, Any], config_hash: str) -> None:
    """Replaces the config; raises StudyNotFound."""
    _update(database, study_id, config=config, config_hash=config_hash)


def set_status(database: Database, study_id: int, status: StudyStatus | str) -> None:
    """running, paused, stopped or done; raises StudyNotFound, and ValueError for another status."""
    _update(database, study_id, status=StudyStatus(status))


def _update(database: Database, study_id: int, **values: Any) -> None:
    with database.transaction() as connection:
        changed = connection.execute(update(hpo_study).where(hpo_study.c.study_id == study_id).values(**values))
        if changed.rowcount == 0:
            raise StudyNotFound(f"{database.url_masked}: there is no study with study_id {study_id} (was it deleted?)")


def widen_choices(database: Database, study_id: int, choices: Mapping[str, Sequence[_Choice]]) -> None:
    """Gives the recorded trials new lists of choices: Optuna refuses a second list in one study.

    Optuna stores a choice as its index, so the indices move with the choices. Raises ValueError where a choice that a
    trial has taken is missing from its new list. An ``optuna.Study`` that was loaded before still holds the old list.
    """
    with database.transaction() as connection:
        for name, wider in choices.items():
            _widen(connection, study_id, name, list(wider))


def _widen(connection: Connection, study_id: int, name: str, wider: list[_Choice]) -> None:
    of_study = trial_params.c.trial_id.in_(select(trials.c.trial_id).where(trials.c.study_id == study_id))
    columns = (trial_params.c.param_id, trial_params.c.param_value, trial_params.c.distribution_json)
    stored = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": wider}})
    for param_id, value, text in connection.execute(
        select(*columns).where(of_study, trial_params.c.param_name == name)
    ).all():
        taken = json.loads(text)["attributes"]["choices"][int(value)]
        moved = {"param_value": float(_index(wider, taken, name)), "distribution_json": stored}
        connection.execute(update(trial_params).where(trial_params.c.param_id == param_id).values(moved))


def _index(choices: list[_Choice], wanted: _Choice, name: str) -> int:
    for index, choice in enumerate(choices):
        if choice == wanted and type(choice) is type(wanted):  # 1 == True == 1.0, but they are three choices
            return index
    raise ValueError(f"{name}: the choice {wanted!r} has trials and cannot be taken away; expected it among {choices}")
