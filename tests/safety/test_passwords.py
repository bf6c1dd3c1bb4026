"""A database's password is in no output, no argument of a process, no log and no table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import inspect

from hpo.cli.main import cli
from hpo.results.engine import connect
from hpo.results.urls import parse_url
from hpo.study import Study
from tests.cli.conftest import RAW
from tests.conftest import PASSWORD

MakeStudy = Callable[..., Study]
READING = (
    ["studies"],
    ["studies", "--json"],
    ["status"],
    ["status", "--json"],
    ["best", "lab"],
    ["best", "lab", "--json"],
    ["show", "lab", "0"],
    ["show", "lab", "1", "--json"],
    ["export", "lab"],
    ["export", "lab", "-o", "best.yaml", "--force"],
    ["query", "best"],
    ["query", "select * from hpo_studies", "--json"],
    ["db", "check"],
    ["db", "check", "--json"],
    ["db", "upgrade"],
    ["pause", "lab"],
    ["stop", "lab"],
    ["resume", "lab"],
)
WRONG = (
    ["best", "nothing"],
    ["status", "nothing", "--json"],
    ["show", "lab", "99"],
    ["export", "lab", "--trial", "99"],
    ["query", "select * from nothing"],
    ["query", "delete from trials"],
    ["worker", "--study", "nothing"],
    ["dashboard", "nothing"],
    ["launch", "study.yaml", "--warm-start", "nothing"],
)


@pytest.fixture
def locked_url(postgres_server: Any) -> Iterator[str]:
    """A database of a role whose password is full of special characters."""
    name = f"t{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name} OWNER locked")
    yield postgres_server.url(name, "locked", PASSWORD)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def shows_password(text: str) -> bool:
    return any(secret in text for secret in (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), repr(PASSWORD)[1:-1]))


def variants(url: str) -> list[str]:
    """The same URL with something wrong, such as people type; the last with a password that was not encoded."""
    wrong_password = url.replace("locked:", "locked:x")
    return [
        url.replace("host=", "host=/nowhere"),
        url.replace("host=", "no_such_option=1&host="),
        url.replace("postgresql", "postgresq"),
        url.replace("postgresql", "postgresql+psycopg2"),
        url.replace("@/", "@/no_"),
        url.replace("@/", "@[::1:port/"),
        f"postgresql://locked@/x?password={quote(PASSWORD)}&host=/nowhere",
        wrong_password,
        url.replace(quote(PASSWORD, safe=""), PASSWORD),
    ]


def said(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments, prog_name="hpo")
    return result.exit_code, result.output


@pytest.mark.parametrize("debug", ["0", "1"])
def test_no_verb_shows_it(
    locked_url: str, make_study: MakeStudy, folder: Path, monkeypatch: pytest.MonkeyPatch, debug: str
) -> None:
    """Where all is well, where something is wrong, and with the traceback of HPO_DEBUG=1."""
    monkeypatch.setenv("HPO_STORAGE", locked_url)
    monkeypatch.setenv("HPO_DEBUG", debug)
    with connect(locked_url, create=True) as database:
        make_study(database)
    (folder / "study.yaml").write_text(yaml.safe_dump({**RAW, "name": "other", "storage": locked_url}))
    for code, commands in ((0, READING), (2, WRONG)):
        for arguments in commands:
            ended, output = said(*arguments)
            assert ended == code, output
            assert ("Traceback" in output) == (code != 0 and debug == "1")
            assert not shows_password(output)
    assert "locked:***@" in said("best", "nothing")[1]


@pytest.mark.parametrize("number", range(9))
def test_nor_does_a_database_that_cannot_be_used(
    locked_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("HPO_DEBUG", "1")
    url = variants(locked_url)[number]
    (folder / "study.yaml").write_text(yaml.safe_dump({**RAW, "storage": url}))
    for arguments in (["launch", "study.yaml"], ["best", "lab", "--storage", url]):
        code, output = said(*arguments)
        assert code in (1, 2)
        assert "error: " in output
        assert "bug" not in output
        assert not shows_password(output)


def arguments_of_children(process: psutil.Process) -> Iterator[str]:
    for child in process.children(recursive=True):
        try:
            yield " ".join(child.cmdline())
        except psutil.NoSuchProcess:
            continue


def test_a_launch_hands_it_on_in_the_environment_only(locked_url: str, folder: Path) -> None:
    (folder / "study.yaml").write_text(yaml.safe_dump({**RAW, "stop": {"trials": 2}}))
    command = [sys.executable, "-m", "hpo.cli.main", "launch", "study.yaml"]
    environment = {**os.environ, "HPO_STORAGE": locked_url}
    seen: set[str] = set()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as made:
        while made.poll() is None:
            seen |= set(arguments_of_children(psutil.Process(made.pid)))
            try:
                made.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        assert made.stdout is not None
        output = made.stdout.read()
    assert made.returncode == 0, output
    assert any("worker" in arguments for arguments in seen)
    assert any("hpo.meta.runner" in arguments for arguments in seen)
    logs = [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]
    assert any("attempt 1" in log for log in logs)
    assert not [text for text in [*seen, output, *logs] if shows_password(text)]
    assert not shows_password(everything(locked_url))


def everything(url: str) -> str:
    with connect(url) as database, database.reading() as connection:
        tables = inspect(connection).get_table_names()
        assert "hpo_worker" in tables
        rows = {name: connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in tables}
    return json.dumps(rows, default=str, ensure_ascii=False)


def test_it_is_taken_out_of_what_a_driver_says() -> None:
    location = parse_url(f"postgresql://me:{quote(PASSWORD, safe='')}@host/hpo?sslpassword=other%2Fone")
    message = f"cannot use {location.revealed}: {PASSWORD}, {quote(PASSWORD)}, other/one"
    assert not shows_password(location.scrub(message))
    assert "other" not in location.scrub(message)
