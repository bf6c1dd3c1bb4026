"""Trials from before, as points of a search space: a study's own where its space has changed, and other studies'."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from hpo.config import StudyConfig
from hpo.config.paths import flatten
from hpo.errors import InputError, StudyConflict
from hpo.records import Observation
from hpo.results import queries
from hpo.results.engine import Database
from hpo.results.rows import RecordedTrial
from hpo.sampler.domain import Domain
from hpo.sampler.history import history
from hpo.sampler.outcomes import is_informative
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
                params[trial.trial_id] = space.params_of(_field_values(trial, old.fixed_values()))
            except OutsideSpace as found:
                if found.path not in old.search:  # else another program of Optuna's has put it there: as before
                    outside[found.path, repr(found.value)] += 1
    if outside:
        raise StudyConflict(_refusal(outside, new))
    return params


def _field_values(trial: RecordedTrial, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted path -> what the trial had there, of every field; ``fixed``: what its study's config has."""
    return {**fixed, **flatten(trial.config or {}), **trial.parameters}


def _refusal(outside: Counter[tuple[str, str]], new: StudyConfig) -> str:
    lines = [
        f"search.{path}: was {value} in {count} trial{'s' if count > 1 else ''}, "
        f"expected a dimension that has this value, found {_described(new, path)}"
        for (path, value), count in outside.items()
    ]
    title = f"the trials of the study {new.name!r} lie outside of the changed search space:"
    advice = "Widen it, so that they stay in the model, or give the changed config another name"
    return "\n".join([title, *lines, f"{advice}{or_warm_start(new.name)}."])


def _described(config: StudyConfig, path: str) -> str:
    kept = config.search[path].model_dump(mode="json", exclude_defaults=True)
    return "{" + ", ".join(f"{key}: {value}" for key, value in kept.items()) + "}"


def or_warm_start(name: str) -> str:
    """What can be done with the trials of a study whose config cannot be changed so; goes on a sentence."""
    return f" and launch it with  --warm-start {shlex.quote(name)}  to learn from those of its trials that fit"


@dataclass(frozen=True)
class Source:
    """Trials of another study that are data of this one.

    ``left_out``: field -> how many of its trials have no value there that the search space has.
    """

    name: str
    observations: tuple[Observation, ...]
    left_out: Mapping[str, int]


def require_sources(database: Database, config: StudyConfig, names: Sequence[str]) -> None:
    """Raises InputError where the study cannot be warm-started from these."""
    if names and config.sampler.kind != "gp_ei":
        raise InputError(
            f"--warm-start: found sampler.kind {config.sampler.kind!r}, only gp_ei learns from other studies"
        )
    for name in names:
        if name == config.name:
            raise InputError(
                f"--warm-start {name}: a study has its own trials anyway, expected the name of another one"
            )
        queries.study(database, name)


def sources(database: Database, names: Sequence[str], space: Space) -> list[Source]:
    """What the trials of these studies say about points of ``space``; studies that were deleted are passed over."""
    found = [queries.find_study(database, name) for name in names]
    return [_source(database, row, space) for row in found if row is not None]


def _source(database: Database, row: queries.StudyRow, space: Space) -> Source:
    """Fields that the space does not search may have had any value: whether they matter is what the model learns."""
    study = optuna.load_study(study_name=row.name, storage=database.optuna_storage)
    told = [one for one in history(study, Domain.of(Space(()))).observations if is_informative(one)]
    recorded = {trial.number: trial for trial in queries.recorded_trials(database, row.study_id)}
    kept, left_out = [], Counter[str]()
    for observation in told:
        try:
            params = space.params_of(_field_values(recorded[observation.number], flatten(row.config)))
            kept.append(observation.model_copy(update={"params": params}))
        except OutsideSpace as outside:
            left_out[outside.path] += 1
    return Source(row.name, tuple(kept), left_out)
