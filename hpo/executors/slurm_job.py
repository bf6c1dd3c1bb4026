"""What runs inside a Slurm job: one worker, stopped before the job's end and queued again.

submitit pickles it, as it pickles whatever it runs; what it holds is a study's name and two plain values. The pickle is
read by the job alone, from a folder that only the user may write; hpo itself loads none. A plain command
(submitit.helpers.CommandFunction) would be pickled just so, and could neither checkpoint nor be queued again after a
time limit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from submitit.helpers import DelayedSubmission

from hpo.executors.worker_process import WorkerPlan, WorkerProcess, WorkersFailed

_TEND_EVERY_S = 0.5


@dataclass
class WorkerJob:
    """Called by submitit, which calls ``checkpoint`` when Slurm says that the job is about to end."""

    study: str
    device: str | None
    threads: int
    _worker: WorkerProcess | None = None

    def __call__(self) -> None:
        """Until nothing is left to do; the database URL is in the environment that the job was submitted with."""
        self._worker = worker = WorkerProcess(WorkerPlan(self.study, self.device, self.threads), with_parent=True)
        worker.start()
        try:
            while not worker.finished:
                worker.tend()
                if worker.given_up:
                    raise WorkersFailed(worker.last_words())
                time.sleep(_TEND_EVERY_S)
        finally:
            worker.stop()

    def checkpoint(self) -> DelayedSubmission:
        """Has the worker let go of its trial; the same job is then queued again."""
        if self._worker is not None:
            self._worker.stop()
        return DelayedSubmission(replace(self, _worker=None))
