"""Trials from before, as points of a search space: those that a study had when its space was changed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hpo.config import StudyConfig
from hpo.config.paths import flatten
from hpo.errors import StudyConflict
from hpo.results import queries
from hpo.results.engine import Database
from hpo.results.rows import RecordedTrial
from hpo.space import OutsideSpace, Params, Space


def in_changed_space(database: Database, study_id: int, old: StudyConfig, new: StudyConfig) -> dict[int, Params]:
    """trial_id -> params in the space of ``new``; where a dimension is new, the value that the trial was trained with.

    Raises StudyConflict where a new dimension does not have that value.
    """
    space, params, outside = Space.from_search(new.search, new.fixed_values()), {}, Counter[tuple[str, str]]()
    for trial in queries.recorded_trials(database, study_id):
        params[trial.trial_id] = trial.parameters
        if trial.is_begun:
            try:
                params[trial.trial_id] = space.params_of(field_values(trial, old))
            except OutsideSpace as found:
                if found.path not in old.search:  # else another program of Optuna's has put it there: as before
                    outside[found.path, repr(found.value)] += 1
    if outside:
        raise StudyConflict(_refusal(outside, new))
    return params


def field_values(trial: RecordedTrial, config: StudyConfig) -> dict[str, Any]:
    """Dotted path -> what the trial of a study with this ``config`` had there, of every field."""
    return {**config.fixed_values(), **flatten(trial.config or {}), **trial.parameters}


def _refusal(outside: Counter[tuple[str, str]], new: StudyConfig) -> str:
    lines = [
        f"search.{path}: was {value} in {count} trial{'s' if count > 1 else ''}, "
        f"expected a dimension that has this value, found {_described(new, path)}"
        for (path, value), count in outside.items()
    ]
    return (
        f"the trials of the study {new.name!r} lie outside of the changed search space:\n"
        + "\n".join(lines)
        + "\nWiden it, so that they stay in the model, or give the changed config another name."
    )


def _described(config: StudyConfig, path: str) -> str:
    kept = config.search[path].model_dump(mode="json", exclude_defaults=True)
    return "{" + ", ".join(f"{key}: {value}" for key, value in kept.items()) + "}"
