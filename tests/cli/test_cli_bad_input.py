"""Whatever is wrong: one message that says what to do, exit code 2 (1 for the database), nothing created or changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo.cli import preflight
from hpo.executors import devices
from hpo.results.engine import Database, connect
from hpo.study import Study
from tests.cli.conftest import RAW, Run

Write = Callable[..., Path]


def search(**dimension: Any) -> dict[str, Any]:
    return {"search": {"learner.inner_lr": {"type": "float", "low": 0.001, "high": 0.5, **dimension}}}


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", ["launch", "train"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"modl": {}}, ["'modl'", "'model'"]),
        ({"model": {"hiden_size": 4}}, ["'hiden_size'", "'hidden_size'"]),
        ({"search": {"learner.iner_lr": {"type": "float", "low": 0.1, "high": 1.0}}}, ["learner.inner_lr"]),
        (search(low=2.0), ["low", "high"]),
        (search(low=0.0, log=True), ["log", "above 0"]),
        ({"tasks": {"kind": "languge_id"}}, ["'languge_id'", "'language_id'"]),
        ({"name": None}, ["name"]),
    ],
)
def test_a_wrong_config(verb: str, changes: dict[str, Any], expected: list[str], run: Run, write: Write) -> None:
    path = write(**changes)
    before = listing(Path.cwd())
    result = run(verb, str(path), code=2)
    assert result.stderr.startswith(f"error: {path}:")
    assert all(part in result.stderr for part in expected), result.stderr
    assert result.stdout == ""
    assert listing(Path.cwd()) == before


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("missing.yaml", None, "there is no such file"),
        ("**[x.yaml", None, "there is no such file"),
        ("list.yaml", "- a\n- b\n", "a list"),
        ("broken.yaml", "name: [a\n", "YAML"),
        ("empty.yaml", "", "empty"),
    ],
)
def test_a_file_that_holds_no_config(name: str, content: str | None, expected: str, run: Run, folder: Path) -> None:
    if content is not None:
        (folder / name).write_text(content)
    before = listing(folder)
    result = run("launch", name, code=2)
    assert result.stderr.startswith(f"error: {name}")
    assert expected in result.stderr
    assert listing(folder) == before


@pytest.mark.parametrize("verb", ["launch", "train"])
def test_a_missing_extra(verb: str, run: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    path = write(tasks={"kind": "language_id"})
    before = listing(Path.cwd())
    assert "pip install 'hpo[text]'" in run(verb, str(path), code=2).stderr
    assert listing(Path.cwd()) == before


def test_a_study_that_searches_nothing(run: Run, write: Write) -> None:
    path = write(search={})
    before = listing(Path.cwd())
    assert "there is nothing to search" in run("launch", str(path), code=2).stderr
    assert listing(Path.cwd()) == before


@pytest.mark.parametrize("wish", ["cuda", ["cuda:0"], ["cpu", "cuda:7"]])
def test_a_gpu_that_is_not_there(wish: object, run: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: [])
    path = write(execution={"devices": wish})
    before = listing(Path.cwd())
    assert "this machine has only: cpu" in run("launch", str(path), code=2).stderr
    assert listing(Path.cwd()) == before


@pytest.mark.parametrize("verb", [["worker"], ["train", "study.yaml"]])
def test_a_device_option_that_names_none(
    verb: list[str], run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: [])
    write()
    assert "--device cuda:1" in run(*verb, "--device", "cuda:1", code=2).stderr


@pytest.mark.parametrize(
    "verb", [["best", "x"], ["status"], ["studies"], ["show", "x", "0"], ["pause", "x"], ["worker"], ["db", "upgrade"]]
)
def test_a_database_that_is_not_there_is_not_made(verb: list[str], run: Run, folder: Path) -> None:
    result = run(*verb, code=1)
    assert "there is no file" in result.stderr
    assert "hpo launch" in result.stderr
    assert listing(folder) == {}


def test_a_server_that_cannot_be_reached(run: Run, write: Write) -> None:
    path = write()
    before = listing(Path.cwd())
    result = run("launch", str(path), "--storage", "postgresql://me:secret@127.0.0.1:1/hpo", code=1)
    assert "127.0.0.1" in result.stderr
    assert "secret" not in result.output
    assert listing(Path.cwd()) == before


def test_a_storage_that_is_no_url(run: Run, write: Write) -> None:
    path = write()
    before = listing(Path.cwd())
    assert "sqlite:///hpo.db" in run("launch", str(path), "--storage", "hpo.db", code=2).stderr
    assert listing(Path.cwd()) == before


def test_a_read_only_database(run: Run, write: Write, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.close()
    path = write()
    before = listing(Path.cwd())
    monkeypatch.setattr("os.access", lambda where, mode: mode != os.W_OK)  # a superuser may
    result = run("launch", str(path), code=1)
    assert "writable" in result.stderr
    assert listing(Path.cwd()) == before


def test_a_database_that_is_newer_than_the_code(run: Run, write: Write, study: Study) -> None:
    path = write()
    with sqlite3.connect("hpo.db") as connection:
        connection.execute("UPDATE hpo_alembic_version SET version_num = '9999'")
    connection.close()
    for arguments in (["launch", str(path)], ["best", study.name], ["db", "upgrade"], ["db", "check"]):
        assert "newer hpo" in run(*arguments, code=1).stderr
    with sqlite3.connect("hpo.db") as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (5,)
    connection.close()


@pytest.mark.parametrize(
    "verb", [["best"], ["status"], ["export"], ["pause"], ["resume"], ["stop"], ["worker", "--study"]]
)
def test_a_study_that_does_not_exist(verb: list[str], run: Run, study: Study) -> None:
    result = run(*verb, "lab [bald]", code=2)
    assert "'lab [bald]'" in result.stderr
    assert study.name in result.stderr
    assert result.stdout == ""


def test_a_trial_that_does_not_exist(run: Run, study: Study) -> None:
    assert "99" in run("show", study.name, "99", code=2).stderr
    assert "99" in run("export", study.name, "--trial", "99", code=2).stderr


def test_a_second_launch_with_another_config(run: Run, write: Write, study: Study) -> None:
    path = write(model={**RAW["model"], "cell": "lstm"})
    with connect("sqlite:///hpo.db") as database, database.reading() as connection:
        before = connection.exec_driver_sql("SELECT config, status FROM hpo_study").all()
    result = run("launch", str(path), code=2)
    assert "model.cell" in result.stderr
    assert "another" in result.stderr
    with connect("sqlite:///hpo.db") as database, database.reading() as connection:
        assert connection.exec_driver_sql("SELECT config, status FROM hpo_study").all() == before
    assert not Path(".hpo").exists()


@pytest.mark.parametrize("sql", ["delete from trials", "update trials set number = 1", "select 1; drop table trials"])
def test_a_query_that_is_not_reading(sql: str, run: Run, study: Study) -> None:
    run("query", sql, code=2)
    assert run("query", "select count(*) as n from trials", "--format", "csv").stdout == "n\n5\n"


@pytest.mark.parametrize(("query", "expected"), [("bst", "'best'"), ("select * from nowhere", "nowhere")])
def test_a_query_that_is_wrong(query: str, expected: str, run: Run, study: Study) -> None:
    assert expected in run("query", query, code=2).stderr


@pytest.mark.parametrize("setting", ["study", "=x", "1a=2"])
def test_a_query_setting_that_is_wrong(setting: str, run: Run, study: Study) -> None:
    assert "KEY=VALUE" in run("query", "best", "--set", setting, code=2).stderr


def test_configs_for_different_tasks_are_not_compared(run: Run, write: Write) -> None:
    first, second = write("a.yaml"), write("b.yaml", tasks={**RAW["tasks"], "shots": 9})
    assert "different tasks" in run("train", str(first), str(second), code=2).stderr
    third = write("c.yaml", training={**RAW["training"], "test_tasks": 7})
    assert "test_tasks (6 and 7)" in run("train", str(first), str(third), code=2).stderr


def test_a_full_copy_of_the_listing_is_compared(folder: Path) -> None:
    """The check itself: a new file and a changed one are noticed."""
    (folder / "a").write_text("1")
    before = listing(folder)
    shutil.copy(folder / "a", folder / "b")
    assert listing(folder) != before
