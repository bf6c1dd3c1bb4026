"""SIGINT, SIGTERM and SIGHUP: the first asks the worker to let go of its trial and end, the second ends it at once."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LISTEN_S = 0.1


class StoppedAtOnce(SystemExit):
    """A second signal came; exit code 130."""


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
        if self.asked:
            raise StoppedAtOnce(130)
        self.asked = True
