"""``hpo worker`` as a child process that is started again when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hpo.child_process import how_it_ended
from hpo.errors import HpoError

STOP_GRACE_S = 10.0
MAX_RESTARTS = 5  # of one worker: one that dies more often has a cause that a restart does not mend
LOG_TAIL_LINES = 15


class WorkersFailed(HpoError):
    """The workers have died more often than restarting helps."""


@dataclass(frozen=True)
class WorkerPlan:
    """What to start. ``environment`` is added to what the parent has; it holds the database URL, so it is not shown.

    ``device`` None: the first GPU that the worker is shown, else the CPU. ``log`` None: the parent's own output.
    """

    study: str
    device: str | None
    threads: int
    log: Path | None = None
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def arguments(self) -> list[str]:
        """Of the command ``hpo``."""
        device = [] if self.device is None else ["--device", self.device]
        return ["worker", "--study", self.study, *device, "--threads", str(self.threads)]


class WorkerProcess:
    """``with_parent``: the worker lets go of its trial and ends when the process that started it is gone."""

    def __init__(self, plan: WorkerPlan, *, with_parent: bool = False) -> None:
        self._plan = plan
        self._with_parent = with_parent
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts = 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def finished(self) -> bool:
        """Whether it has ended by itself, as nothing was left to do."""
        return self._process is not None and self._process.poll() == 0

    @property
    def given_up(self) -> bool:
        """Whether it is dead and stays so."""
        return not self.alive and not self.finished and self._restarts >= MAX_RESTARTS

    def start(self) -> None:
        """Starts it; its log is written on."""
        plan, tie = self._plan, ["--with-parent"] if self._with_parent else []
        log = None
        if plan.log is not None:
            plan.log.parent.mkdir(parents=True, exist_ok=True)
            log = plan.log.open("ab")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hpo.cli.main", *plan.arguments, *tie],
                stdin=subprocess.PIPE if self._with_parent else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=plan.folder,
                env={**os.environ, **plan.environment},
                start_new_session=True,  # Ctrl-C reaches the launcher, which asks the workers to stop
            )
        finally:
            if log is not None:
                log.close()

    def tend(self) -> None:
        """Starts it again where it has died, a few times."""
        if not self.alive and not self.finished and not self.given_up:
            self._restarts += 1
            self.start()

    def ask_to_stop(self) -> None:
        """SIGTERM: the worker checkpoints and lets go of its trial."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Until it has ended; at ``deadline``, in :func:`time.monotonic`'s seconds, by force."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Asks it to stop, and waits."""
        self.ask_to_stop()
        self.wait(time.monotonic() + STOP_GRACE_S)

    def last_words(self) -> str:
        """How it ended, with the end of its log."""
        assert self._process is not None
        died = f"the worker {how_it_ended(self._process.wait())} {MAX_RESTARTS + 1} times"
        return died if self._plan.log is None else f"{died}; the end of {self._plan.log}:\n{tail(self._plan.log)}"


def tail(log: Path) -> str:
    """Its last lines."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
