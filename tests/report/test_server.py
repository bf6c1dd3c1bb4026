from __future__ import annotations

import logging
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import optuna_dashboard
import pytest

from hpo.errors import InputError, StorageUnreachable
from hpo.report import server as server_module
from hpo.report.server import NotesThread, Server, bind


def hello(environ: Any, start: Any) -> list[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@contextmanager
def serving(server: Server) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def test_it_serves_this_machine_only_and_logs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with bind(0, hello) as server, serving(server) as url:
        assert server.socket.getsockname()[0] == "127.0.0.1"
        assert server.url == f"{url}/dashboard"
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"hello"
    assert capfd.readouterr() == ("", "")


def test_a_browser_that_goes_away_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    with bind(0, hello) as server, serving(server):
        with socket.create_connection(server.server_address[:2]) as client:
            client.sendall(b"GET / HTTP/1.0\r\n")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset, not closed
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}") as answer:
            assert answer.status == 200
    assert capfd.readouterr().err == ""


def test_a_taken_port_is_named_with_a_free_one() -> None:
    with taken_port() as port, pytest.raises(InputError, match=rf"port {port} .*taken: try  --port \d+") as refused:
        bind(port, hello)
    bind(int(str(refused.value).split()[-1]), hello).server_close()


def test_without_a_wish_the_next_free_port_is_taken() -> None:
    with taken_port() as port, bind(None, hello, first=port) as server:
        assert port < server.server_port <= port + 20


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1"])
def test_the_url_of_every_address_can_be_opened(host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with bind(0, hello, host) as server, serving(server), urllib.request.urlopen(server.url) as answer:
        assert "//0.0.0.0" not in server.url
        assert "//[::]" not in server.url
        assert answer.read() == b"hello"


def test_a_connection_that_says_nothing_is_closed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module._QuietHandler, "timeout", 0.05)
    with bind(0, hello) as server, serving(server), socket.create_connection(server.server_address[:2]) as client:
        client.settimeout(20)
        assert client.recv(1) == b""
    assert capfd.readouterr().err == ""


def test_a_reserved_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(server_module, "Server", refuse)
    with pytest.raises(InputError, match="port 80 is reserved"):
        bind(80, hello)


@pytest.fixture
def storage(lab: Any) -> optuna.storages.BaseStorage:
    return optuna.storages.get_storage(lab.database.optuna_storage)


def test_notes_are_written_while_it_runs(lab: Any, storage: optuna.storages.BaseStorage) -> None:
    with NotesThread(lab.database, storage, every_s=0.05):
        for number in (2, 9):
            trial_id = number + 1
            if number == 9:
                assert lab.ok(0.4) == trial_id
            _wait_for(lambda trial_id=trial_id: f"dashboard:{trial_id}:note_ver" in _attributes(lab))
    assert "hpo:dashboard" in _attributes(lab)


def _attributes(lab: Any) -> dict[str, Any]:
    found: dict[str, Any] = lab.database.optuna_storage.get_study_system_attrs(lab.study_id)
    return found


def _wait_for(condition: Any) -> None:
    waiting = threading.Event()
    for _ in range(400):
        if condition():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not come about in 20 s")


def test_foreign_and_deleted_studies_are_passed_over(lab: Any, storage: optuna.storages.BaseStorage) -> None:
    optuna.create_study(study_name="foreign", storage=lab.database.optuna_storage)
    thread = NotesThread(lab.database, storage)
    thread.refresh()
    assert optuna_dashboard.get_note(lab.study())
    lab.ok(0.4)
    listed = server_module.queries.summaries(lab.database)
    optuna.delete_study(study_name=lab.config.name, storage=lab.database.optuna_storage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module.queries, "summaries", lambda _: listed)
        thread.refresh()


def test_trouble_is_said_once(
    lab: Any, storage: optuna.storages.BaseStorage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = threading.Semaphore(0)

    def gone(_: Any) -> None:
        rounds.release()
        raise StorageUnreachable("no answer")

    monkeypatch.setattr(server_module.queries, "summaries", gone)
    with caplog.at_level(logging.WARNING), NotesThread(lab.database, storage, every_s=0.01):
        for _ in range(3):
            assert rounds.acquire(timeout=20)
    assert [record.getMessage() for record in caplog.records] == ["notes are not up to date: no answer"]
