"""Where a config's workers are to run: checked before anything is created, said at launch, then made."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from hpo.cli.options import home
from hpo.config.execution import ExecutionConfig
from hpo.errors import InputError, MissingExtra
from hpo.executors import devices
from hpo.executors.devices import SlotPlan

if TYPE_CHECKING:
    from hpo.executors.base import Executor
    from hpo.study import Study

_OF_WORKERS = ("HPO_", "PG", "PYTHONPATH")  # variables that a worker elsewhere needs too


@dataclass(frozen=True)
class Placement:
    """``executor`` makes one for a study and the URL of its database."""

    said: str
    executor: Callable[[Study, str], Executor]


def placement(execution: ExecutionConfig) -> Placement:
    """Raises InputError where this machine has not what it takes."""
    match execution.executor:
        case "local":
            slots = devices.plan_slots(devices.choose(execution.devices), execution.slots_per_device)
            return Placement(_slots(slots), lambda study, url: _on_this_machine(study, url, slots))
        case "ray":
            _require("ray", execution)
            return Placement(_workers(execution, "Ray"), _on_ray)
        case "slurm":
            _require("submitit", execution)
            if missing := [name for name in ("sbatch", "srun", "squeue", "sacct", "scancel") if which(name) is None]:
                where = "launch on a login node of the cluster"
                raise InputError(f"execution.executor: slurm: this machine has no {missing[0]}: {where}")
            return Placement(_workers(execution, "Slurm"), _on_slurm)


def logs(study: Study) -> Path:
    """Where its workers' logs are."""
    return study.folder(home()) / "logs"


def _require(package: str, execution: ExecutionConfig) -> None:
    if find_spec(package) is None:
        raise MissingExtra(package, execution.executor, f"execution.executor: {execution.executor}")


def _on_this_machine(study: Study, url: str, slots: list[SlotPlan]) -> Executor:
    from hpo.executors.local import LocalExecutor

    return LocalExecutor(study.name, url, slots, logs(study))


def _on_ray(study: Study, url: str) -> Executor:
    from hpo.executors.on_ray import RayExecutor
    from hpo.executors.worker_process import WorkerPlan

    execution = study.config.execution
    plan = WorkerPlan(
        study.name,
        execution.worker_device,
        execution.cpus_per_worker or 1,
        folder=Path.cwd(),
        environment=_environment(url),
    )
    return RayExecutor(execution, plan, logs(study), study.folder(home()).name)


def _on_slurm(study: Study, url: str) -> Executor:
    from hpo.executors.on_slurm import SlurmExecutor

    execution = study.config.execution
    return SlurmExecutor(study.name, execution, _environment(url), logs(study), study.folder(home()).name)


def _environment(url: str) -> dict[str, str]:
    """The database URL never stands in a command line: it may hold a password."""
    inherited = {name: value for name, value in os.environ.items() if name.startswith(_OF_WORKERS)}
    return {**inherited, "HPO_STORAGE": url, "HPO_HOME": str(home())}


def _slots(slots: list[SlotPlan]) -> str:
    names = [slot.device for slot in slots]
    where = ", ".join(
        f"{names.count(name)} x {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)
    )
    return f"{where} ({_threads(slots[0].threads)} a worker)"


def _workers(execution: ExecutionConfig, cluster: str) -> str:
    count, gpus = execution.workers or 1, execution.gpus_per_worker or 0
    each = f"{gpus:g} GPU, " * bool(gpus) + _threads(execution.cpus_per_worker or 1)
    return f"{count} {cluster} worker{'s' if count > 1 else ''} ({each} each)"


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"
