"""The keys of ``execution:`` that are about a cluster: their own forms, and which executor has which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hpo.config.problems import Problem

if TYPE_CHECKING:
    from hpo.config.execution import ExecutionConfig

SIGNAL_AHEAD_S = 90  # how long before a time limit Slurm tells a worker, which needs 10 s; Slurm is up to 60 s early
_LEAST_MINUTES = 5
_TIME_LIMIT = re.compile(r"(?:(\d{1,3})-)?(\d{1,3}):([0-5]\d):([0-5]\d)")
_OPTION = re.compile(r"[a-z][a-z0-9-]*")
_KEYS = {  # key -> who has it, and what the others have instead
    "slots_per_device": (("local",), "gpus_per_worker says how workers share a GPU"),
    "address": (("ray",), "it is the address of a Ray cluster"),
    "workers": (("ray", "slurm"), "devices and slots_per_device say how many workers this machine runs"),
    "gpus_per_worker": (("ray", "slurm"), "slots_per_device says how workers share a GPU"),
    "cpus_per_worker": (("ray", "slurm"), "this machine's cores are divided among its workers"),
    "memory_gb": (("slurm",), "only Slurm is asked for memory"),
    "partition": (("slurm",), "only Slurm has partitions"),
    "time_limit": (("slurm",), "only Slurm limits the time of a worker"),
    "setup": (("slurm",), "only Slurm's jobs have a script"),
    "extra": (("slurm",), "they are options of sbatch"),
}
_OURS = {  # options of sbatch that are written from keys of their own, or that requeueing depends on
    **dict.fromkeys(("gpus", "gpus-per-node", "gpus-per-task", "gres"), "execution.gpus_per_worker"),
    **dict.fromkeys(("cpus-per-task", "cpus-per-gpu", "c"), "execution.cpus_per_worker"),
    **dict.fromkeys(("mem", "mem-per-cpu", "mem-per-gpu"), "execution.memory_gb"),
    **dict.fromkeys(("partition", "p"), "execution.partition"),
    **dict.fromkeys(("time", "t"), "execution.time_limit"),
    **dict.fromkeys(("array", "a"), "execution.workers"),
    **dict.fromkeys(("job-name", "output", "error", "open-mode", "signal", "requeue", "no-requeue"), "hpo itself"),
    **dict.fromkeys(("nodes", "ntasks", "ntasks-per-node"), "hpo itself, as one job is one worker"),
}


def minutes(time_limit: int | str) -> int:
    """``90``, ``1:30:00`` or ``1-12:00:00`` in minutes, rounded up."""
    if isinstance(time_limit, int):
        return time_limit
    found = _TIME_LIMIT.fullmatch(time_limit)
    assert found is not None  # validated
    days, hours, whole, seconds = (int(part or 0) for part in found.groups())
    return (days * 24 + hours) * 60 + whole + (seconds > 0)


def as_time_limit(found: Any) -> Any:
    """Refuses what is no time limit."""
    if found is None:
        return None
    is_number = isinstance(found, int) and not isinstance(found, bool)
    if not is_number and not (isinstance(found, str) and _TIME_LIMIT.fullmatch(found)):
        raise ValueError(f"found {found!r}, expected minutes, such as 240, or text such as 4:00:00 or 1-12:00:00")
    if minutes(found) < _LEAST_MINUTES:
        raise ValueError(f"found {found!r}, expected at least {_LEAST_MINUTES} minutes: a checkpoint is made before")
    return found


def one_line(found: str) -> str:
    """Refuses what would end a line of a job's script."""
    if not found or not found.isprintable():
        raise ValueError(f"found {found!r}, expected one line of text")
    return found


def sbatch_options(found: Any) -> Any:
    """Refuses what is no option of sbatch, or one that has a key of its own."""
    for name, value in found.items() if isinstance(found, dict) else ():
        if not _OPTION.fullmatch(name):
            raise ValueError(f"found the option {name!r}, expected a name such as account, without dashes before it")
        if name in _OURS:
            raise ValueError(f"found the option {name!r}, which is set by {_OURS[name]}")
        if not isinstance(value, str | int | float) or not str(value).isprintable():
            raise ValueError(f"found {value!r} for {name!r}, expected one line of text, a number, or true")
    return found


def execution_problems(execution: ExecutionConfig) -> Iterator[Problem]:
    """Keys that the executor does not have, and values that it cannot meet."""
    executor = execution.executor
    for key, (owners, instead) in _KEYS.items():
        value = getattr(execution, key)
        if executor not in owners and value != type(execution).model_fields[key].get_default(call_default_factory=True):
            message = f"found {value!r}, expected no such key with executor {executor}: {instead}"
            yield Problem(("execution", key), message)
    if executor == "local":
        return
    if isinstance(execution.devices, list):
        message = f"found {execution.devices}, expected auto, cpu or cuda with executor {executor}, which chooses GPUs"
        yield Problem(("execution", "devices"), message)
    if execution.devices == "cuda" and not execution.gpus_per_worker:
        message = "found 'cuda', expected gpus_per_worker above 0 with it: workers are shown no GPU else"
        yield Problem(("execution", "devices"), message)
    if executor == "slurm":
        yield from _slurm_problems(execution)


def _slurm_problems(execution: ExecutionConfig) -> Iterator[Problem]:
    if execution.gpus_per_worker not in (None, 0, 1):
        message = f"found {execution.gpus_per_worker}, expected 0 or 1 with executor slurm, which gives out whole GPUs"
        yield Problem(("execution", "gpus_per_worker"), message)
    if execution.time_limit is None:
        message = "the key 'time_limit' is missing: a worker checkpoints before it and is queued again"
        yield Problem(("execution", "time_limit"), message)
