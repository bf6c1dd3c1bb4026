"""Workers as processes on this machine, one a slot."""

from __future__ import annotations

import time
from pathlib import Path

from hpo.executors.devices import SlotPlan
from hpo.executors.worker_process import STOP_GRACE_S, WorkerPlan, WorkerProcess, WorkersFailed

__all__ = ["LocalExecutor", "WorkersFailed"]


class LocalExecutor:
    """Each worker writes its log to ``folder``/worker-N.log; the database URL travels in the environment."""

    waiting = 0

    def __init__(self, study_name: str, storage_url: str, slots: list[SlotPlan], folder: Path) -> None:
        environment = {"HPO_STORAGE": storage_url}
        self._workers = [
            WorkerProcess(
                WorkerPlan(study_name, slot.device, slot.threads, folder / f"worker-{i}.log", environment=environment)
            )
            for i, slot in enumerate(slots)
        ]

    @property
    def alive(self) -> int:
        """How many workers run."""
        return sum(worker.alive for worker in self._workers)

    def start(self) -> None:
        """Starts a worker in every slot."""
        for worker in self._workers:
            worker.start()

    def tend(self) -> None:
        """Replaces workers that died. Raises WorkersFailed, with the end of a log, once none is left."""
        for worker in self._workers:
            worker.tend()
        given_up = [worker for worker in self._workers if worker.given_up]
        if given_up and all(worker.finished or worker.given_up for worker in self._workers):
            raise WorkersFailed(given_up[0].last_words())

    def stop(self) -> None:
        """SIGTERM to every worker, which checkpoints and lets go of its trial; SIGKILL to what is left after 10 s."""
        for worker in self._workers:
            worker.ask_to_stop()
        deadline = time.monotonic() + STOP_GRACE_S
        for worker in self._workers:
            worker.wait(deadline)
