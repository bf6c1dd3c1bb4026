"""How long one trial may be trained."""

from __future__ import annotations

import time

from hpo.records import Report


class TimeLimit:
    """Of the seconds of training, those of earlier attempts included; ``limit_s`` None: there is none."""

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._trained_s, self._since = 0.0, time.monotonic()

    def heard(self, report: Report) -> None:
        """The runner knows what earlier attempts took, and sends their reports again."""
        self._trained_s, self._since = report.seconds, time.monotonic()

    @property
    def is_exceeded(self) -> bool:
        """By now, whether the runner says something or not."""
        return self._limit_s is not None and self._trained_s + time.monotonic() - self._since > self._limit_s

    def __str__(self) -> str:
        return f"{self._limit_s:g} s, its execution.trial_timeout_s"
