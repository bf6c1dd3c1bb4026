"""Several trainings side by side, each in a process of its own with one thread, as far as the cores go.

Milliseconds a meta-iteration of study_configs/quickstart.yaml on 2 cores: 17.7 with 1 thread, 11.8 with 2, and 18.2 in
each of two processes with 1 thread side by side, that is 9.1 for one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hpo.child_process import how_it_ended, thread_environment
from hpo.config import TrialConfig
from hpo.executors.devices import cores
from hpo.meta.seed_process import MESSAGES, Job, SeedFailure, SeedResult
from hpo.records import Outcome, Report


@dataclass(frozen=True)
class SeedRun:
    """One config to be trained with one seed; ``label`` names the config in messages."""

    label: str
    config: TrialConfig

    @property
    def seed(self) -> int:
        """Of the initialization and of the meta-training tasks."""
        return self.config.training.seed


def with_seeds(label: str, config: TrialConfig, count: int) -> list[SeedRun]:
    """The config with its seed, its seed + 1, ..."""
    raw, first = config.to_dict(), config.training.seed
    return [
        SeedRun(label, TrialConfig.from_dict({**raw, "training": {**raw["training"], "seed": seed}}))
        for seed in range(first, first + count)
    ]


class SeedPool:
    """Trains as many runs at a time as ``processes``; ``on_report`` is called from several threads, one at a
    time; profile: results say where their time went."""

    def __init__(
        self,
        device: str,
        threads: int,
        processes: int,
        on_report: Callable[[SeedRun, Report], None],
        *,
        profile: bool = False,
    ) -> None:
        self._device = device
        self._threads = threads
        self._processes = processes
        self._on_report = on_report
        self._profile = profile
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[str]] = []
        self._closed = False

    def train(self, runs: Sequence[SeedRun]) -> list[SeedResult | SeedFailure]:
        """In the order of ``runs``; an interruption ends every child."""
        with ThreadPoolExecutor(self._processes) as pool:
            futures = [pool.submit(self._train_one, run) for run in runs]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self._close()
                raise

    def _train_one(self, run: SeedRun) -> SeedResult | SeedFailure:
        child = self._start()
        if child is None:
            return SeedFailure(outcome=Outcome.ERROR, reason="not begun: the training was interrupted")
        assert child.stdin is not None
        assert child.stdout is not None
        with child:
            with contextlib.suppress(BrokenPipeError):  # it died at once: its end of output tells
                job = Job(config=run.config.to_dict(), device=self._device, profile=self._profile)
                child.stdin.write(job.model_dump_json() + "\n")
                child.stdin.close()
            for line in child.stdout:
                message = MESSAGES.validate_json(line)
                if not isinstance(message, Report):
                    return message
                with self._lock:
                    self._on_report(run, message)
        reason = f"its process {how_it_ended(child.wait())}; what it wrote is above"
        return SeedFailure(outcome=Outcome.LOST, reason=reason)

    def _start(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._closed:
                return None
            child = subprocess.Popen(
                [sys.executable, "-m", "hpo.meta.seed_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **thread_environment(self._threads)},
                start_new_session=True,  # Ctrl-C reaches the parent alone, which ends its children
            )
            self._children.append(child)
            return child

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            for child in self._children:
                child.kill()


def processes_for(device: str, runs: int) -> tuple[int, int]:
    """How many trainings at a time, and threads for each: on a CPU one a core, on a GPU one after the other."""
    at_once = min(runs, cores()) if device == "cpu" else 1
    return at_once, max(1, cores() // at_once)
