"""2,000 generated malformed configs, names and queries: no traceback, no change, exit code 2."""

from __future__ import annotations

import hashlib
import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from sqlalchemy import inspect

from hpo.cli.main import cli
from hpo.config import load_study_config
from hpo.errors import ConfigError
from hpo.results.engine import Database, connect
from hpo.study import Study
from tests.safety import malformed

CONFIGS, NAMES, QUERIES, ON_POSTGRESQL = 800, 500, 700, 200
VERBS = (
    *(["best"], ["status"], ["status", "--json"], ["export"], ["pause"], ["resume"], ["stop"], ["dashboard"]),
    *(["worker", "--study"], ["export", "-o", "out.yaml"], ["best", "--pareto"], ["show", "--json", "--"], ["launch"]),
)
MakeStudy = Callable[..., Study]


@pytest.fixture
def study(database: Database, make_study: MakeStudy) -> Study:
    made = make_study(database)
    database.close()
    return made


def stored(folder: Path) -> str:
    """A digest of what the database holds, and of every file's name and content beside it."""
    with closing(sqlite3.connect(folder / "hpo.db")) as connection:
        digest = hashlib.sha256("\n".join(connection.iterdump()).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("hpo.db"):  # SQLite's log comes and goes with readers
            digest.update(f"{path}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def unchanged(folder: Path, what: object) -> Iterator[None]:
    before = stored(folder)
    yield
    assert stored(folder) == before, f"changed by {what!r}"


def refused(*arguments: str) -> None:
    result = CliRunner().invoke(cli, arguments, prog_name="hpo")
    assert result.exit_code == 2, f"{arguments!r:.500}: {result.exit_code}, {result.output:.500}"
    assert "Traceback" not in result.output
    assert result.stdout == ""
    message = result.stderr
    assert message.startswith("error: "), message
    assert all(char.isprintable() or char == "\n" for char in message), message


def names(random: Random, count: int) -> Iterator[str]:
    drawn = (malformed.name(random) for _ in itertools.count())
    return itertools.islice((name for name in drawn if name.strip() != "lab" and not is_help(name)), count)


def queries(random: Random, count: int) -> Iterator[list[str]]:
    drawn = (malformed.query(random) for _ in itertools.count())
    return itertools.islice((arguments for arguments in drawn if not is_help(arguments[0])), count)


def is_help(argument: str) -> bool:
    return argument.startswith(("-h", "--h"))


def is_taken(path: Path) -> bool:
    try:
        load_study_config(path)
    except ConfigError:
        return False
    return True


def test_malformed_configs(study: Study, folder: Path) -> None:
    random, path, tried = Random(1), folder / "study.yaml", 0
    for _ in range(CONFIGS):
        path.write_bytes(malformed.config(random))
        while is_taken(path):  # a change that does no harm
            path.write_bytes(malformed.config(random))
            tried += 1
        with unchanged(folder, path.read_bytes()):
            refused(random.choice(("launch", "train")), "study.yaml")
    assert tried < CONFIGS


def test_names_of_nothing(study: Study, folder: Path) -> None:
    random = Random(2)
    for name in names(random, NAMES):
        verb = random.choice(VERBS)
        with unchanged(folder, (verb, name)):
            refused(*verb, name, *["0"] * (verb[0] == "show"))


def test_queries_that_do_not_read(study: Study, folder: Path) -> None:
    random = Random(3)
    for arguments in queries(random, QUERIES):
        with unchanged(folder, arguments):
            refused("query", *arguments)


def dumped(database: Database) -> dict[str, list[str]]:
    with database.reading() as connection:
        tables = inspect(connection).get_table_names()
        return {name: sorted(map(str, connection.exec_driver_sql(f"SELECT * FROM {name}"))) for name in tables}


def test_nor_on_postgresql(postgres_url: str, make_study: MakeStudy, folder: Path) -> None:
    random = Random(4)
    with connect(postgres_url, create=True) as database:
        make_study(database)
        before = dumped(database)
        for arguments in queries(random, ON_POSTGRESQL):
            refused("query", *arguments, "--storage", postgres_url)
        for name in names(random, ON_POSTGRESQL):
            refused("best", "--storage", postgres_url, name)
        assert dumped(database) == before
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [b"best", b"\xff\xfe'; DROP TABLE trials; --"],
        [b"query", b"select '\xff'"],
        [b"launch", b"no \xff\x1b[31m.yaml"],
        [b"query", b"delete from trials"],
        [b"best", b"x" * 10_000],
        [b"best", b"lab", b"--storage", b"\xff"],
        [b"\xff"],
    ],
)
def test_as_a_process(study: Study, folder: Path, arguments: list[bytes]) -> None:
    """With bytes that are no text in any argument."""
    with unchanged(folder, arguments):
        done = subprocess.run(
            [os.fsencode(sys.executable), b"-m", b"hpo.cli.main", *arguments],
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stderr
