"""The worker's side of a runner: a child process that lives across trials and may die at any time."""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import sys
import threading
from typing import IO

from hpo.protocol import Event, event, to_line
from hpo.records import Record
from hpo.worker.slot import Slot

STOP_GRACE_S = 5.0


class RunnerDied(Exception):
    """The runner's process is gone; the message says how it ended."""


class RunnerProcess:
    """Starts the child on first use and again after its death.

    Its standard error is the worker's own; it starts in a session of its own, so that a Ctrl-C in the terminal
    reaches only the worker, which then asks it for a checkpoint.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._process: subprocess.Popen[str] | None = None
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Starts the child unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hpo.meta.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._slot.runner_environment(),
            start_new_session=True,
        )
        self._events = queue.SimpleQueue()
        assert self._process.stdout is not None
        threading.Thread(target=_read, args=(self._process.stdout, self._events), daemon=True).start()

    def send(self, command: Record) -> None:
        """A command to the child; one that is already dead is noticed by the next :meth:`receive`."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(to_line(command))
            self._process.stdin.flush()

    def receive(self, timeout_s: float) -> Event | None:
        """The next event, or None after ``timeout_s``; RunnerDied where there will be no more."""
        try:
            received = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if received is None:
            raise RunnerDied(self._how_it_ended())
        return received

    def close(self) -> None:
        """Ends the child: end of input first, then by force."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends the child at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _how_it_ended(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        if code >= 0:
            return f"the runner exited with code {code}"
        name = signal.Signals(-code).name
        cause = " (by hand, or by the system when memory ran out)" if name == "SIGKILL" else ""
        return f"the runner was ended by {name}{cause}"


def _read(stdout: IO[str], events: queue.SimpleQueue[Event | None]) -> None:
    with stdout:
        for line in stdout:
            events.put(event(line))
    events.put(None)
