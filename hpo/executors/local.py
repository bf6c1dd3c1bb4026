"""Workers as processes on this machine, one a slot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from hpo.errors import HpoError
from hpo.executors.devices import SlotPlan

STOP_GRACE_S = 10.0
MAX_RESTARTS = 5  # of one slot: a worker that dies more often has a cause that a restart does not mend
LOG_TAIL_LINES = 15


class WorkersFailed(HpoError):
    """The workers of every slot have died more often than restarting helps."""


@dataclass
class _SlotProcess:
    plan: SlotPlan
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    finished: bool = field(default=False)


class LocalExecutor:
    """Each worker writes its log to ``folder``/worker-N.log; the database URL travels in the environment."""

    def __init__(self, study_name: str, storage_url: str, slots: list[SlotPlan], folder: Path) -> None:
        self._study_name = study_name
        self._storage_url = storage_url
        self._slots = [_SlotProcess(plan, folder / f"worker-{i}.log") for i, plan in enumerate(slots)]
        self._folder = folder

    @property
    def alive(self) -> int:
        """How many workers run."""
        return sum(slot.process is not None and slot.process.poll() is None for slot in self._slots)

    def start(self) -> None:
        """Starts a worker in every slot."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for slot in self._slots:
            self._launch(slot)

    def tend(self) -> None:
        """Replaces workers that died. Raises WorkersFailed, with the end of a log, once none is left."""
        for slot in self._slots:
            self._tend(slot)
        if self.alive == 0 and not all(slot.finished for slot in self._slots):
            failed = next(slot for slot in self._slots if not slot.finished)
            raise WorkersFailed(
                f"the workers died {MAX_RESTARTS + 1} times; the end of {failed.log}:\n{_tail(failed.log)}"
            )

    def stop(self) -> None:
        """SIGTERM to every worker, which checkpoints and lets go of its trial; SIGKILL to what is left after 10 s."""
        for slot in self._slots:
            if slot.process is not None and slot.process.poll() is None:
                slot.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_GRACE_S
        for slot in self._slots:
            if slot.process is not None:
                _end(slot.process, deadline)

    def _tend(self, slot: _SlotProcess) -> None:
        if slot.finished or slot.process is None or (code := slot.process.poll()) is None:
            return
        if code == 0:
            slot.finished = True
        elif slot.restarts < MAX_RESTARTS:
            slot.restarts += 1
            self._launch(slot)

    def _launch(self, slot: _SlotProcess) -> None:
        plan = slot.plan
        arguments = ["worker", "--study", self._study_name, "--device", plan.device, "--threads", str(plan.threads)]
        with slot.log.open("ab") as log:
            slot.process = subprocess.Popen(
                [sys.executable, "-m", "hpo.cli.main", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "HPO_STORAGE": self._storage_url},
                start_new_session=True,  # Ctrl-C reaches the launcher, which asks the workers to stop
            )


def _end(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
