from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from click.testing import CliRunner

from hpo.cli import dashboard as module
from hpo.cli.dashboard import dashboard
from hpo.errors import InputError, StorageUnreachable, StudyNotFound

TOKEN = "correct-horse-battery"


def refused(*arguments: str) -> BaseException:
    result = CliRunner().invoke(dashboard, arguments)
    assert result.exception is not None
    return result.exception


def test_it_serves_until_ctrl_c_and_ends_well(lab: Any) -> None:
    url = str(lab.database.url_masked)
    command = [sys.executable, "-m", "hpo.cli.main", "dashboard", "--no-browser", "--port", "0", "--storage", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    page = process.stdout.readline().strip()
    try:
        assert page.endswith("/dashboard/studies/1")
        with urllib.request.urlopen(page.replace("/dashboard/", "/api/")) as answer:
            assert json.load(answer)["name"] == "few-shot languages"
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, rest) == (0, "")
    assert errors.splitlines() == [f"starting on {url} ...", "Ctrl-C ends it", "ended"]


def test_an_unknown_study(lab: Any) -> None:
    error = refused("few-shot language", "--storage", lab.database.url_masked)
    assert isinstance(error, StudyNotFound)
    assert "few-shot languages" in str(error)


def test_a_missing_database(tmp_path: Path) -> None:
    assert isinstance(refused("--storage", f"sqlite:///{tmp_path}/none.db"), StorageUnreachable)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "gpu-box", "127.0.0.2", ""])
def test_without_a_terminal_nobody_makes_up_a_token(tmp_path: Path, host: str) -> None:
    error = refused("--host", host, "--storage", f"sqlite:///{tmp_path}/none.db")
    assert isinstance(error, InputError)
    assert "HPO_DASHBOARD_TOKEN" in str(error)


@pytest.mark.parametrize(
    ("token", "expected"),
    [("short", "5 characters, expected at least 16"), ("a b" * 9, "cannot send"), ("\u2603" * 20, "cannot send")],
)
def test_a_token_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, expected: str) -> None:
    monkeypatch.setenv("HPO_DASHBOARD_TOKEN", token)
    for host in ("0.0.0.0", "127.0.0.1"):
        error = refused("--host", host, "--storage", f"sqlite:///{tmp_path}/none.db")
        assert isinstance(error, InputError)
        assert expected in str(error)
        assert token not in str(error)


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-host.invalid", "a" * 300, "x\0y"])
def test_an_address_of_another_machine(lab: Any, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("HPO_DASHBOARD_TOKEN", TOKEN)
    error = refused("--host", host, "--port", "0", "--storage", lab.database.url_masked)
    assert isinstance(error, InputError)
    assert "no address of this machine" in str(error)


def asked(url: str, token: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def arguments_of(pid: int) -> str:
    return " ".join(psutil.Process(pid).cmdline())


def test_a_token_is_made_up_and_shown_once_on_the_terminal(lab: Any) -> None:
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "hpo.cli.main", "dashboard", "--port", "0", "--host", "0.0.0.0"]
    process = subprocess.Popen(
        [*command, "--storage", lab.database.url_masked], stdout=subprocess.PIPE, stderr=inside, text=True
    )
    os.close(inside)
    try:
        assert process.stdout is not None
        page = process.stdout.readline().strip()
        api = page.replace("/dashboard/", "/api/")
        shown = b""
        while b"ends it" not in shown:
            shown += os.read(terminal, 4096)
        (token,) = re.findall(rf"{re.escape(page)}\?token=(\S+)", shown.decode())
        assert len(token) >= 32
        assert (asked(api, token), asked(api, token[:-1]), asked(f"{api}?token={token}", "")) == (200, 401, 401)
        assert token not in arguments_of(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    said = (shown + os.read(terminal, 4096)).decode() + rest
    os.close(terminal)
    assert said.count(token) == 1


def test_the_token_of_the_environment_is_not_shown(lab: Any) -> None:
    url = lab.database.url_masked
    command = [
        sys.executable,
        "-m",
        "hpo.cli.main",
        "dashboard",
        "--port",
        "0",
        "--host",
        "127.0.0.2",
        "--storage",
        url,
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HPO_DASHBOARD_TOKEN": TOKEN},
    )
    try:
        assert process.stdout is not None
        page = process.stdout.readline().strip()
        api = page.replace("/dashboard/", "/api/")
        assert (asked(api, TOKEN), asked(api, "x")) == (200, 401)
    finally:
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert page.startswith("http://127.0.0.2:")
    assert TOKEN not in page + rest + errors


def test_the_page_is_the_only_study_or_the_list(lab: Any) -> None:
    assert module._page(lab.database, None) == "/studies/1"
    optuna.create_study(study_name="second", storage=lab.database.optuna_storage)
    assert module._page(lab.database, None) == ""
    assert module._page(lab.database, "few-shot languages") == "/studies/1"


@pytest.mark.parametrize(
    ("platform", "terminal", "environment", "expected"),
    [
        ("linux", True, {"DISPLAY": ":0"}, True),
        ("linux", True, {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", True, {}, False),
        ("linux", False, {"DISPLAY": ":0"}, False),
        ("linux", True, {"DISPLAY": ":0", "SSH_CONNECTION": "somewhere"}, False),
        ("darwin", True, {}, True),
        ("darwin", False, {}, False),
    ],
)
def test_a_browser_opens_only_for_a_person_at_the_screen(
    monkeypatch: pytest.MonkeyPatch, platform: str, terminal: bool, environment: dict[str, str], expected: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    assert module._has_browser() is expected


def test_the_page_is_opened_where_there_is_a_browser(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(module, "_has_browser", lambda: True)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr("hpo.report.server.Server.serve_forever", lambda _: os.kill(os.getpid(), signal.SIGINT))
    result = CliRunner().invoke(dashboard, ["--port", "0", "--storage", lab.database.url_masked])
    assert result.exit_code == 0
    assert opened == [result.stdout.strip()]


def test_the_browser_is_not_given_the_token(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody on a machine sees the arguments of its programs."""
    opened: list[str] = []
    monkeypatch.setattr(module, "_has_browser", lambda: True)
    monkeypatch.setattr(module, "made_up_token", lambda _: TOKEN)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr("hpo.report.server.Server.serve_forever", lambda _: os.kill(os.getpid(), signal.SIGINT))
    arguments = ["--port", "0", "--host", "0.0.0.0", "--storage", lab.database.url_masked]
    result = CliRunner().invoke(dashboard, arguments)
    assert result.exit_code == 0
    assert f"{opened[0]}?token={TOKEN}" in result.stderr
