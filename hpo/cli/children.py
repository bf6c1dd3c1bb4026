"""The worker processes that a launch has started, and the trials of those that died."""

from __future__ import annotations

import contextlib
import socket

import psutil

from hpo.results import queries, store
from hpo.results.engine import Database


class Children:
    """Lets go at once of what a dead child held, instead of when its lease expires.

    Children that this process had before are none of its business.
    """

    def __init__(self, database: Database, study: str) -> None:
        self._database = database
        self._study = study
        self._others = {child.pid for child in psutil.Process().children()}
        self._seen: set[int] = set()

    def release_dead(self) -> None:
        """Every trial whose worker was a child of this process and is gone can be continued now."""
        alive = {child.pid for child in self._alive()}
        self._seen |= alive
        for worker in queries.workers(self._database):
            dead = worker.pid in self._seen - alive
            if dead and worker.host == socket.gethostname() and worker.study in (None, self._study):
                store.release_worker(self._database, worker.worker_id)
                store.remove_worker(self._database, worker.worker_id)

    def kill(self) -> None:
        """Ends every child at once, and their runners with them; who started them gets the exit codes."""
        for child in self._alive():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()

    def _alive(self) -> list[psutil.Process]:
        return [child for child in psutil.Process().children() if child.pid not in self._others and _runs(child)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # of a zombie only the exit code is left
    except psutil.NoSuchProcess:
        return False
