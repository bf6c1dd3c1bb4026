"""What a study needs of this machine, checked before anything is created."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import product
from pathlib import Path

from hpo.config import StudyConfig, TrialConfig
from hpo.config.search import CategoricalDimension
from hpo.config.tasks import LanguageIdConfig, TasksConfig
from hpo.errors import ConfigError, DeviceNotFound, MissingExtra
from hpo.executors import devices

_PACKAGES = {LanguageIdConfig: ("wordfreq", "text")}  # options of a task family -> package, extra


def require_packages(config: TrialConfig) -> None:
    """Raises MissingExtra where the config's tasks need a package that is not installed."""
    for kind, (package, extra) in _PACKAGES.items():
        if isinstance(config.tasks, kind) and find_spec(package) is None:
            raise MissingExtra(package, extra, f"tasks.kind: {config.tasks.kind}")


def require_data(configs: Iterable[TasksConfig]) -> None:
    """Raises InputError where the files that tasks are made from are missing or bad, or hold too little."""
    for config in configs:
        if config.reads_files:
            from hpo.meta.tasks import task_family  # here, as it loads PyTorch, which takes seconds

            task_family(config)


def most_demanding(config: StudyConfig) -> Iterator[TasksConfig]:
    """The tasks of a study that ask most of their data: of a searched field every choice, or the upper bound."""
    dimensions = {path: dimension for path, dimension in config.search.items() if path.startswith("tasks.")}
    most = [d.choices if isinstance(d, CategoricalDimension) else (d.high,) for d in dimensions.values()]
    for values in product(*most):
        yield config.trial_config(dict(zip(dimensions, values, strict=True))).tasks


def require_search(config: StudyConfig, path: Path) -> None:
    """Raises ConfigError where the study would train one and the same config again and again."""
    if not config.search:
        raise ConfigError(f"{path}: there is nothing to search: add a search section, or train it:  hpo train {path}")


def require_device(name: str | None) -> str:
    """The device of that name, or the best that there is; raises DeviceNotFound."""
    there = [device.name for device in (*devices.gpus(), devices.cpu())]
    if name is None:
        return there[0]
    if name not in there:
        raise DeviceNotFound(f"--device {name}: this machine has only: {', '.join(there)}")
    return name
