"""Ctrl-C and its relatives: the first asks, the second ends at once."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # SIGHUP: the terminal was closed
INTERRUPTED = 130  # exit code


class Interrupt:
    """Inside the with-block a first signal sets ``asked``, a second one raises KeyboardInterrupt.

    What the process was started to ignore, as nohup does with SIGHUP, stays ignored.
    """

    def __init__(self) -> None:
        # A plain attribute: threading.Event's lock is not to be taken in a signal handler.
        self.asked = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._previous = {number: signal.signal(number, self._on_signal) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def wait(self, seconds: float, listen_s: float) -> bool:
        """Sleeps ``seconds``, less where a signal asks; whether one has."""
        deadline = time.monotonic() + seconds
        while not self.asked and (left_s := deadline - time.monotonic()) > 0:
            time.sleep(min(listen_s, left_s))
        return self.asked

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
