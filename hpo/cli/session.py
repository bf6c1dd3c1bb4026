"""One launch while it runs: workers are tended, progress is shown, and at the end nothing is left behind."""

from __future__ import annotations

import time
from typing import Protocol

from hpo.cli.children import Children
from hpo.cli.interrupt import Interrupt
from hpo.cli.live import Display
from hpo.cli.progress import Progress
from hpo.executors.base import Executor
from hpo.study import Study
from hpo.worker.patience import patiently

LOOK_EVERY_S = 1.0
LISTEN_S = 0.2  # how long Ctrl-C can go unnoticed
SETTLED_S = 5.0  # a number of waiting workers that stands for so long is worth a line
DONE_GRACE_S = 30.0  # the last worker marks the study as done; one that died before that is not waited for


class Looks(Protocol):
    """Where progress comes from: hpo.cli.watch.Watch."""

    def look(self) -> Progress:
        """The study as it stands."""


class Session:
    """``run`` ends when the study is done, paused or stopped, when no worker is left, or when a signal asks to."""

    def __init__(self, study: Study, executor: Executor, watch: Looks, shown: Display, interrupt: Interrupt) -> None:
        self._study = study
        self._executor = executor
        self._watch = watch
        self._shown = shown
        self._interrupt = interrupt
        self._children = Children(study.database, study.name)
        self._all_ended_s: float | None = None
        self._waiting_said = 0
        self._waiting, self._waiting_since_s = 0, time.monotonic()

    def run(self) -> Progress:
        """The last look. Raises WorkersFailed where the workers keep dying, KeyboardInterrupt at a second signal."""
        try:
            self._executor.start()
            self._follow()
        except KeyboardInterrupt:
            self._children.kill()
            raise
        finally:
            self._stop()
        return self._watch.look()

    def _follow(self) -> None:
        while True:
            self._executor.tend()
            self._say_who_waits()
            now = patiently(self._look, give_up=lambda: self._interrupt.asked)
            self._shown.update(now)
            if now.status != "running" or self._executor.alive == 0 or self._interrupt.wait(LOOK_EVERY_S, LISTEN_S):
                return
            self._notice_the_end(now)

    def _look(self) -> Progress:
        self._children.release_dead()
        return self._watch.look()

    def _say_who_waits(self) -> None:
        waiting, alive = self._executor.waiting, self._executor.alive
        if waiting != self._waiting:
            self._waiting, self._waiting_since_s = waiting, time.monotonic()
        if waiting == self._waiting_said or time.monotonic() - self._waiting_since_s < SETTLED_S:
            return
        self._waiting_said = waiting
        wait = f"; {waiting} wait until there is room in the cluster" if waiting else ""
        self._shown.say(f"{alive - waiting} of {alive} workers run{wait}")

    def _notice_the_end(self, now: Progress) -> None:
        if now.left > 0:
            self._all_ended_s = None
        elif self._all_ended_s is None:
            self._all_ended_s = time.monotonic()
        elif time.monotonic() - self._all_ended_s > DONE_GRACE_S and self._study.is_done():
            # asked again, because another launch may have raised its budget
            self._study.end_if_done()

    def _stop(self) -> None:
        if self._interrupt.asked:
            self._shown.say("stopping: the running trials are being checkpointed (Ctrl-C again ends them at once)")
        try:
            self._executor.stop()
        except KeyboardInterrupt:
            self._children.kill()
            raise
        finally:
            self._children.release_dead()
