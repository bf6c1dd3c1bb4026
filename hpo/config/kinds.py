"""Sections that come in kinds: ``tasks`` and ``learner`` have other options with every ``kind``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo.config.learner import LEARNERS, LearnerConfig
from hpo.config.model import ModelConfig
from hpo.config.plugin import is_plugin, load_class
from hpo.config.problems import InvalidConfig, Problem, collect, hint
from hpo.config.section import Section
from hpo.config.tasks import TASKS, TasksConfig
from hpo.config.training import TrainingConfig
from hpo.errors import InputError

KINDS: dict[str, Mapping[str, type[Section]]] = {"tasks": TASKS, "learner": LEARNERS}
BASES: dict[str, type[Section]] = {"tasks": TasksConfig, "learner": LearnerConfig}
SINGLE: dict[str, type[Section]] = {"model": ModelConfig, "training": TrainingConfig}
SEARCHED_SECTIONS = ("tasks", "model", "learner", "training")


def kind_model(section: str, kind: object) -> type[Section]:
    """The options of a kind of ``tasks`` or ``learner``; raises InvalidConfig where there is no such kind."""
    known = KINDS[section]
    if section == "tasks" and isinstance(kind, str) and is_plugin(kind):
        return _plugin_model(kind)
    if not isinstance(kind, str) or kind not in known:
        own = " (or a class of your own as module:Class)" if section == "tasks" else ""
        raise InvalidConfig([Problem((section, "kind"), f"unknown kind {kind!r}{hint(kind, known)}{own}")])
    return known[kind]


def _plugin_model(kind: str) -> type[Section]:
    try:
        model = getattr(load_class(kind), "Config", None)
    except InputError as error:
        raise InvalidConfig([Problem(("tasks", "kind"), str(error))]) from None
    if not (isinstance(model, type) and issubclass(model, TasksConfig)):
        message = f"{kind} needs an attribute Config that is a subclass of {TasksConfig.__module__}.TasksConfig"
        raise InvalidConfig([Problem(("tasks", "kind"), message)])
    return model


def trial_models(section: str, raw: Mapping[str, Any]) -> dict[str, type[Section]]:
    """Kind -> its options, for every kind that a trial may have; a section without kinds has one, ''.

    Kinds that do not exist are left out: whoever validates ``kind`` reports them.
    """
    if section in SINGLE:
        return {"": SINGLE[section]}
    models = {kind: collect([], kind_model, section, kind) for kind in _trial_kinds(section, raw)}
    return {kind: model for kind, model in models.items() if model is not None}


def _trial_kinds(section: str, raw: Mapping[str, Any]) -> list[str]:
    search = raw.get("search")
    match search.get(f"{section}.kind") if isinstance(search, dict) else None:
        case {"choices": [*kinds]}:
            return [kind for kind in kinds if isinstance(kind, str)]
        case _:
            return [kind for kind in [written_kind(section, raw)] if isinstance(kind, str)]


def written_kind(section: str, raw: Mapping[str, Any]) -> Any:
    """What a section says that its kind is; None where it says nothing."""
    written = raw.get(section)
    return written.get("kind") if isinstance(written, dict) else None
