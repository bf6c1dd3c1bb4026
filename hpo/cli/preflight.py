"""What a study needs of this machine, checked before anything is created."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from hpo.config import StudyConfig, TrialConfig
from hpo.config.tasks import LanguageIdConfig
from hpo.errors import ConfigError, DeviceNotFound, MissingExtra
from hpo.executors import devices

_PACKAGES = {LanguageIdConfig: ("wordfreq", "text")}  # options of a task family -> package, extra


def require_packages(config: TrialConfig) -> None:
    """Raises MissingExtra where the config's tasks need a package that is not installed."""
    for kind, (package, extra) in _PACKAGES.items():
        if isinstance(config.tasks, kind) and find_spec(package) is None:
            raise MissingExtra(package, extra, f"tasks.kind: {config.tasks.kind}")


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
