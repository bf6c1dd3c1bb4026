"""Signals that ask the worker to let go of its trial and end; a Ctrl-C after that ends it at once."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any, Self

# SIGUSR1 and SIGUSR2 are what Slurm sends ahead of a time limit or a preemption (sbatch --signal).
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_LISTEN_S = 0.1


class StoppedAtOnce(SystemExit):
    """Ctrl-C came when a stop had been asked for; exit code 130."""


class StopRequest:
    """Handles the signals while its with-block runs; only in the main thread."""

    def __init__(self) -> None:
        # A plain attribute: a signal handler that takes threading.Event's lock can meet the code that holds it.
        self.asked = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        handled = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
        self._previous = {number: signal.signal(number, self._on_signal) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> None:
        """Sleeps, less where a signal asks to stop."""
        deadline = time.monotonic() + seconds
        while not self.asked and time.monotonic() < deadline:
            time.sleep(_LISTEN_S)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:  # a scheduler sends several signals and means one stop
            raise StoppedAtOnce(130)
        self.asked = True
