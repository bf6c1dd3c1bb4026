"""The worker's side of a runner: a child process that lives across trials and may die at any time."""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import sys
import threading
from enum import Enum, auto
from typing import IO

import psutil

from hpo.child_process import how_it_ended
from hpo.errors import HpoError
from hpo.protocol import Event, Finished, Ready, event, to_line
from hpo.records import Outcome, Record, TrialOutcome
from hpo.worker.slot import Slot

_log = logging.getLogger(__name__)
STOP_GRACE_S = 5.0
LAST_WORDS_S = 0.5


class _End(Enum):
    """No more events."""

    END = auto()


_END = _End.END


class RunnerDied(Exception):
    """The runner's process is gone; the message says how it ended."""


class RunnerUnusable(HpoError):
    """The runner ends before it is ready: no trial is at fault, and no other one would fare better."""


class RunnerProcess:
    """Starts the child on first use and again after its death.

    Its standard error is the worker's own; it starts in a session of its own, so that a Ctrl-C in the terminal
    reaches only the worker, which then asks it for a checkpoint.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._process: subprocess.Popen[str] | None = None
        self._events: queue.SimpleQueue[Event | _End] = queue.SimpleQueue()
        self._was_ready = False
        self._was_killed = False
        self._ran_out = False

    @property
    def was_killed(self) -> bool:
        """Whether its death was this worker's will."""
        return self._was_killed

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Starts the child unless it runs; one that ran out of memory is replaced.

        Only the end of its process is sure to give back what it holds, in as few pieces as it was.
        """
        if self._ran_out:
            self._kill()
        if self._process is not None and self._process.poll() is None:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hpo.meta.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",  # a byte that is none spoils its own line, not those that came with it
            env=self._slot.runner_environment(),
            start_new_session=True,
        )
        self._events = queue.SimpleQueue()
        self._was_ready = self._was_killed = self._ran_out = False
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
        """The next event, or None after ``timeout_s``.

        Raises RunnerDied where there will be no more, and RunnerUnusable where there has never been one.
        """
        received = self._next(timeout_s)
        match received:
            case Ready():
                self._was_ready = True
            case Finished(outcome=TrialOutcome(outcome=Outcome.OUT_OF_MEMORY)):
                self._ran_out = True
        if received is not _END:
            return received
        self._kill()  # its output has ended; where it still runs it is of no use
        if not self._was_ready:
            raise RunnerUnusable(f"the runner cannot start: {self._how_it_ended()}; what it said stands above")
        raise RunnerDied(self._how_it_ended())

    def _next(self, timeout_s: float) -> Event | _End | None:
        with contextlib.suppress(queue.Empty):
            return self._events.get(timeout=timeout_s)
        assert self._process is not None
        if self._process.poll() is None:
            return None
        # It is dead, but a process that it started may hold its output open: do not wait for the end of that.
        with contextlib.suppress(queue.Empty):
            return self._events.get(timeout=LAST_WORDS_S)
        return _END

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
        """Ends the child at once, and all that it has started."""
        self._was_killed = True
        self._kill()

    def _kill(self) -> None:
        if self._process is None:
            return
        for process in _tree(self._process.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _how_it_ended(self) -> str:
        assert self._process is not None
        return f"the runner {how_it_ended(self._process.wait())}"


def _tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants; none where it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def _read(stdout: IO[str], events: queue.SimpleQueue[Event | _End]) -> None:
    try:
        with stdout:
            for line in stdout:
                events.put(event(line))
    except ValueError as error:  # half a line of a runner that died
        _log.warning("the runner said what is no event: %s", error)
    finally:
        events.put(_END)
