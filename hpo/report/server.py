"""A small threaded web server for a few people, and the thread that keeps the notes up to date."""

from __future__ import annotations

import errno
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

HOST = "127.0.0.1"
IDLE_S = 60.0  # a connection that says nothing for longer is closed
SYNC_EVERY_S = 5.0
_PORTS_TRIED = 20
_EVERY_ADDRESS = ("", "0.0.0.0", "::")
_ALL = "expected one that it has, or 0.0.0.0 for all of them"
_SOME_ADDRESS = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # of RFC 5737 and RFC 3849: nobody's
_log = logging.getLogger(__name__)
# SQLite may give a deleted study's id to a new one: only together with its birth it names a study.
_Birth = tuple[int, str | None]
_Stand = tuple[str | None, int, int, int]  # status and ended trials: notes change only where this does


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """Serves each request in a thread of its own and logs none of them."""

    daemon_threads = True

    def __init__(self, port: int, application: WSGIApplication, host: str = HOST) -> None:
        """Binds to ``host``:``port``; port 0: any free one. Raises OSError."""
        self._family, address = _resolved(host, port)
        self.address_family = self._family
        self._host = host
        super().__init__(address, _QuietHandler)
        self.set_app(application)

    def server_bind(self) -> None:
        """Binds without asking the network for this machine's name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self._host, self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away, or says nothing, is no error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Of the list of studies, without a slash at the end, as a browser can open it."""
        host = own_address(self._family) if self._host in _EVERY_ADDRESS else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/dashboard"


class _QuietHandler(WSGIRequestHandler):
    timeout = IDLE_S

    def log_message(self, format: str, *args: Any) -> None:
        pass


def own_address(family: socket.AddressFamily) -> str:
    """The address at which other machines find this one, most likely: that of its way out; no packet is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_SOME_ADDRESS[family], 9))
        except OSError:
            return socket.gethostname()  # no way out
        return str(probe.getsockname()[0])


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except ValueError:  # no name can be written so
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from None
    return family, address


def bind(port: int | None, application: WSGIApplication, host: str = HOST, first: int = 8080) -> Server:
    """A server on ``port`` of ``host``; None: on the first free one from ``first`` on.

    Raises InputError where ``port`` is taken or not allowed, naming one that is free, and where ``host`` is not here.
    """
    for candidate in range(first, first + _PORTS_TRIED) if port is None else (port,):
        try:
            return Server(candidate, application, host)
        except PermissionError:
            raise InputError(f"port {candidate} is reserved for the system: give one above 1023 with --port") from None
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise InputError(f"--host {host!r} is no address of this machine: {_ALL}") from None
    raise InputError(f"port {port or first} of {host} is taken: try  --port {_free_port(port or first, host)}")


def _free_port(taken: int, host: str) -> int:
    for port in (*range(taken + 1, min(taken + _PORTS_TRIED, 65536)), 0):
        family, address = _resolved(host, port)
        with socket.socket(family) as probe:
            try:
                probe.bind(address)
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
