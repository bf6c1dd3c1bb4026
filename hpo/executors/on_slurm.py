"""Workers as the jobs of a Slurm array, through submitit."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError, environment_variables

from hpo.config.cluster import SIGNAL_AHEAD_S, minutes
from hpo.config.execution import ExecutionConfig
from hpo.executors.base import ClusterUnusable
from hpo.executors.slurm_job import WorkerJob
from hpo.executors.worker_process import STOP_GRACE_S, WorkersFailed, tail

MOST_TIMEOUTS = 10_000  # a job is queued again after each; it ends when the study does
_ENDED_WELL = ("COMPLETED", "FINISHED")
_WAITING = ("PENDING", "REQUEUED", "READY", "PREEMPTED", "CONFIGURING", "UNKNOWN")
LOOK_EVERY_S = 5.0  # each look is a file's name on the folder that all nodes share, for every job
_STOP_LOOK_EVERY_S = 0.5
_NAME_LENGTH = 40  # of a study's name in a job's: as much as a person needs to know it in squeue

Job: TypeAlias = "submitit.Job[None]"


class SlurmExecutor:
    """``folder`` takes the jobs' scripts and logs (JOB_0_log.out). ``key``: which study of which database this is.

    ``cluster``: ``local`` runs the jobs as processes of this machine.
    """

    def __init__(
        self,
        study_name: str,
        execution: ExecutionConfig,
        environment: dict[str, str],
        folder: Path,
        key: str,
        cluster: str = "slurm",
    ) -> None:
        self._execution = execution
        self._environment = environment
        self._folder = folder
        self._name = f"hpo-{re.sub('[^A-Za-z0-9_.-]+', '-', study_name)[:_NAME_LENGTH]}-{key}"
        self._cluster = cluster
        self._job = WorkerJob(study_name, execution.worker_device, execution.cpus_per_worker or 1)
        self._jobs: list[Job] = []
        self._left: list[Job] = []
        self._looked_at = time.monotonic()

    @property
    def alive(self) -> int:
        """How many jobs run or wait."""
        return len(self._left)

    @property
    def waiting(self) -> int:
        """How many of these wait in the queue, as Slurm's accounting says; it is asked ever more rarely."""
        return sum(_state(job) in _WAITING for job in self._left)

    def start(self) -> None:
        """Takes over the jobs of this study that are in the queue, cancels what is too many and submits the rest."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(self._folder.stat().st_mode & ~0o022)  # jobs execute what lies there
        wanted = self._execution.workers or 1
        queued = self._queued()
        for job in queued[wanted:]:
            job.cancel(check=False)
        self._jobs = queued[:wanted]
        if missing := wanted - len(self._jobs):
            self._jobs += self._submit(missing)
        self._left = self._jobs

    def tend(self) -> None:
        """Slurm itself queues again what loses its place. Raises WorkersFailed where all jobs have ended, one badly."""
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            self._left = _not_done(self._left)
        if self._left:
            return
        for job in self._jobs:
            if (state := _state(job, "force")) not in _ENDED_WELL:
                raise WorkersFailed(f"job {job.job_id} has ended as {state}; {_end_of(job.paths.stdout)}")

    def stop(self) -> None:
        """scancel: Slurm sends SIGTERM, at which a worker lets go of its trial, and SIGKILL after its KillWait."""
        left = _not_done(self._left)
        running = [job for job in left if _state(job) not in _WAITING]
        for job in left:
            job.cancel(check=False)
        deadline = time.monotonic() + STOP_GRACE_S
        while (running := _not_done(running)) and time.monotonic() < deadline:
            time.sleep(_STOP_LOOK_EVERY_S)

    def _submit(self, count: int) -> Sequence[Job]:
        execution = self._execution
        try:
            executor = submitit.AutoExecutor(self._folder, cluster=self._cluster, slurm_max_num_timeout=MOST_TIMEOUTS)
            executor.update_parameters(**_parameters(execution, self._name, count))
            with environment_variables(**self._environment), executor.batch():
                jobs = [executor.submit(self._job) for _ in range(count)]
        except (RuntimeError, OSError, FailedJobError, FailedSubmissionError) as error:
            raise ClusterUnusable(f"Slurm did not take the jobs: {error}") from None
        return jobs

    def _queued(self) -> list[Job]:
        if self._cluster != "slurm":
            return []
        command = ["squeue", "--me", "--array", "--noheader", f"--name={self._name}", "--format=%i"]
        try:
            listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
        except (OSError, subprocess.SubprocessError) as error:
            raise ClusterUnusable(f"Slurm's queue could not be read: {error}") from None
        return [submitit.SlurmJob(self._folder, job_id) for job_id in sorted(listed, key=_by_number)]


def _parameters(execution: ExecutionConfig, name: str, count: int) -> dict[str, Any]:
    assert execution.time_limit is not None  # validated
    threads = execution.cpus_per_worker or 1
    return {
        "name": name,
        "timeout_min": minutes(execution.time_limit),
        "nodes": 1,
        "tasks_per_node": 1,
        "cpus_per_task": threads,
        "gpus_per_node": int(execution.gpus_per_worker or 0) or None,
        "mem_gb": execution.memory_gb,
        "stderr_to_stdout": True,
        "slurm_partition": execution.partition,
        "slurm_array_parallelism": count,
        "slurm_signal_delay_s": SIGNAL_AHEAD_S,
        "slurm_setup": list(execution.setup) or None,
        "slurm_srun_args": [f"--cpus-per-task={threads}"],  # srun takes it no longer from sbatch, since Slurm 22.05
        "slurm_additional_parameters": {"requeue": True, **execution.extra},
    }


def _not_done(jobs: list[Job]) -> list[Job]:
    return [job for job in jobs if not job.done()]


def _state(job: Job, mode: str = "standard") -> str:
    """``standard`` asks Slurm's accounting now and then, for all jobs at once; ``force`` now."""
    if isinstance(job, submitit.SlurmJob):
        return str(job.watcher.get_state(job.job_id, mode).split()[0])  # "CANCELLED by 1000"
    return str(job.state)


def _end_of(log: Path) -> str:
    return f"the end of {log}:\n{tail(log)}" if log.exists() else f"there is no log {log}"


def _by_number(job_id: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", job_id)]
