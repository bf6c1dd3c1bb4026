"""Families of few-shot tasks; ``TaskFamily`` says how to write one's own."""

from __future__ import annotations

import functools

from hpo.config.data_files import located
from hpo.config.plugin import load_class
from hpo.config.tasks import TasksConfig
from hpo.errors import InputError
from hpo.meta.tasks.base import Classes, Episode, Features, Split, TaskBatch, TaskFamily, Tokens, Values
from hpo.meta.tasks.check import check
from hpo.meta.tasks.language_id import LanguageId
from hpo.meta.tasks.omniglot import Omniglot
from hpo.meta.tasks.series import Series
from hpo.meta.tasks.sinusoid import Sinusoid
from hpo.meta.tasks.text import Text

FAMILIES: dict[str, type[TaskFamily]] = {
    "language_id": LanguageId,
    "sinusoid": Sinusoid,
    "omniglot": Omniglot,
    "text": Text,
    "series": Series,
}

__all__ = [
    "FAMILIES",
    "Classes",
    "Episode",
    "Features",
    "Split",
    "TaskBatch",
    "TaskFamily",
    "TasksConfig",
    "Tokens",
    "Values",
    "check",
    "task_family",
]


def task_family(config: TasksConfig) -> TaskFamily:
    """The family that ``config.kind`` names: one of FAMILIES, or a class of one's own as ``my_module:MyTasks``.

    Raises InputError where that class cannot be imported or is no TaskFamily.
    """
    family = FAMILIES.get(config.kind) or load_class(config.kind)
    if not issubclass(family, TaskFamily):
        raise InputError(f"tasks.kind: {config.kind} is no subclass of hpo.meta.tasks.TaskFamily, expected one")
    if not isinstance(config, family.Config):
        raise InputError(f"tasks.kind: {config.kind} takes a {family.Config.__name__}, found a {type(config).__name__}")
    versions = [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in map(located, config.files)]
    return _made(family, type(config), config.model_dump_json(), tuple(versions)) if versions else family(config)


@functools.lru_cache(maxsize=2)
def _made(family: type[TaskFamily], config: type[TasksConfig], options: str, versions: object) -> TaskFamily:
    """Once for all trials of a process, until the files change: to read 100,000 texts takes seconds."""
    return family(config.model_validate_json(options))
