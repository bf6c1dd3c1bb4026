"""A small threaded web server for one person on one machine, and the thread that keeps the notes up to date."""

from __future__ import annotations

import logging
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from optuna.storages import BaseStorage

from hpo.errors import HpoError, InputError, StudyNotFound
from hpo.report.dashboard_sync import StudyPages
from hpo.results import queries
from hpo.results.database import Database

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

HOST = "127.0.0.1"  # the dashboard has no password and can delete studies
SYNC_EVERY_S = 5.0
_PORTS_TRIED = 20
_log = logging.getLogger(__name__)
# SQLite may give a deleted study's id to a new one: only together with its birth it names a study.
_Birth = tuple[int, str | None]
_Stand = tuple[str | None, int, int, int]  # status and ended trials: notes change only where this does


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """Serves each request in a thread of its own and logs none of them."""

    daemon_threads = True

    def __init__(self, port: int, application: WSGIApplication) -> None:
        """Binds to 127.0.0.1:``port``; 0: any free one. Raises OSError."""
        super().__init__((HOST, port), _QuietHandler)
        self.set_app(application)

    def server_bind(self) -> None:
        """Binds without asking the network for this machine's name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Of the list of studies, without a slash at the end."""
        return f"http://{HOST}:{self.server_port}/dashboard"


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def bind(port: int | None, application: WSGIApplication, first: int = 8080) -> Server:
    """A server on ``port``; None: on the first free one from ``first`` on.

    Raises InputError where ``port`` is taken or not allowed; it names one that is free.
    """
    for candidate in range(first, first + _PORTS_TRIED) if port is None else (port,):
        try:
            return Server(candidate, application)
        except PermissionError:
            raise InputError(f"port {candidate} is reserved for the system: give one above 1023 with --port") from None
        except OSError:
            continue
    raise InputError(f"port {port or first} of {HOST} is taken: try  --port {_free_port(port or first)}")


def _free_port(taken: int) -> int:
    for port in (*range(taken + 1, min(taken + _PORTS_TRIED, 65536)), 0):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("unreachable: port 0 is always free")


class NotesThread:
    """Brings the notes and figures of all studies up to date every few seconds while the with-block runs."""

    def __init__(self, database: Database, storage: BaseStorage, every_s: float = SYNC_EVERY_S) -> None:
        self._database = database
        self._storage = storage
        self._every_s = every_s
        self._pages: dict[_Birth, StudyPages] = {}
        self._seen: dict[_Birth, _Stand] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notes", daemon=True)
        self._said: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=2 * self._every_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._reported():
                self.refresh()
            self._stop.wait(self._every_s)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """The dashboard goes on without fresh notes: each new trouble is said once, and tried again."""
        try:
            yield
            self._said = None
        except HpoError as error:
            if str(error) != self._said:
                _log.warning("notes are not up to date: %s", error)
            self._said = str(error)

    def refresh(self) -> None:
        """One round over all of hpo's studies: one statement where nothing has happened. Raises StorageError."""
        for study in queries.summaries(self._database):
            stand = (study.status, study.complete, study.pruned, study.failed)
            birth = (study.study_id, study.created_at)
            if study.status is None or self._seen.get(birth) == stand or self._stop.is_set():
                continue
            if birth not in self._pages:
                self._pages[birth] = StudyPages(self._database, study.study_id, self._storage)
            try:
                self._pages[birth].refresh()
                self._seen[birth] = stand
            except (StudyNotFound, KeyError):  # deleted since it was listed
                self._pages.pop(birth)
