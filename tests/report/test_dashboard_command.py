from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
import webbrowser
from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner

from hpo.cli import dashboard as module
from hpo.cli.dashboard import dashboard
from hpo.errors import InputError, StorageUnreachable, StudyNotFound


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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "gpu-box"])
def test_other_machines_are_refused(tmp_path: Path, host: str) -> None:
    error = refused("--host", host, "--storage", f"sqlite:///{tmp_path}/none.db")
    assert isinstance(error, InputError)
    assert f"--host {host}" in str(error)
    assert "ssh -L" in str(error)


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
