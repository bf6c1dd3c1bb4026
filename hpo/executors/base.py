"""What an executor is: it starts workers for a study and tells whether they live."""

from __future__ import annotations

from typing import Protocol

from hpo.errors import HpoError


class ClusterUnusable(HpoError):
    """The cluster does not answer, or refuses what it was asked for."""


class Executor(Protocol):
    """``start`` returns at once; ``tend`` is called every second or so; ``stop`` leaves nothing behind.

    Workers in a cluster outlive a process that starts them and does not stop them.
    """

    def start(self) -> None:
        """Starts the workers; those in a cluster that an earlier launch has left running are taken over."""

    def tend(self) -> None:
        """Replaces workers that died. Raises WorkersFailed where replacing does not help."""

    @property
    def alive(self) -> int:
        """How many workers run or wait."""

    @property
    def waiting(self) -> int:
        """How many of these wait for a place in a cluster."""

    def stop(self) -> None:
        """Asks the workers to checkpoint and end, and ends them by force where they do not within 10 s."""
