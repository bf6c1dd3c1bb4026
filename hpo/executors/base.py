"""What an executor is: it starts workers for a study and tells whether they live."""

from __future__ import annotations

from typing import Protocol


class Executor(Protocol):
    """``start`` returns at once; ``tend`` is called every second or so; ``stop`` leaves nothing behind."""

    def start(self) -> None:
        """Starts the workers."""

    def tend(self) -> None:
        """Replaces workers that died. Raises ExecutorFailed where replacing does not help."""

    @property
    def alive(self) -> int:
        """How many workers run."""

    def stop(self) -> None:
        """Asks the workers to checkpoint and end, and ends them by force where they do not within 10 s."""
