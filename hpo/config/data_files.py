"""Where data is looked for: in the working directory, then in the folder that the environment's HPO_DATA_DIR names."""

from __future__ import annotations

import os
from pathlib import Path

from hpo.config.problems import InvalidConfig, Problem
from hpo.config.tasks import TasksConfig

VARIABLE = "HPO_DATA_DIR"


def data_folder() -> Path | None:
    """None where the environment names none."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else None


def located(file: str) -> Path:
    """The file that ``tasks.file`` names; raises InvalidConfig, an InputError, where there is none."""
    places = [Path.cwd(), data_folder()]
    candidates = list(dict.fromkeys(folder / Path(file).expanduser() for folder in places if folder is not None))
    for path in candidates:
        if path.exists():
            return path
    looked = " or ".join(map(str, candidates))
    message = f"there is no {looked}: a relative path is looked for in the working directory, then in {VARIABLE}"
    raise InvalidConfig([Problem(("tasks", "file"), message)])


def require_files(config: TasksConfig) -> None:
    """Raises InvalidConfig where a file of the user's is not on this machine; does not read it."""
    for file in config.files:
        located(file)
