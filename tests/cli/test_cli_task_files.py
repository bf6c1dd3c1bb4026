"""Tasks are made from files that may be missing or bad: said before anything is created."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo.meta.tasks import omniglot_archives
from tests.cli.conftest import Run
from tests.meta.tasks import omniglot_files

Write = Callable[..., Path]
OMNIGLOT = {"kind": "omniglot", "alphabets": "small1", "ways": 2, "shots": 1, "queries": 2}


def refused(run: Run, verb: str, path: Path) -> str:
    """The message; nothing was created."""
    before = sorted(Path.cwd().rglob("*"))
    result = run(verb, str(path), code=2)
    assert result.stdout == ""
    assert sorted(Path.cwd().rglob("*")) == before
    return result.stderr


@pytest.fixture
def archives(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("files")
    omniglot_files.use(monkeypatch, folder, {"images_background_small1.zip": omniglot_files.BACKGROUND})
    return folder


@pytest.mark.parametrize("verb", ["launch", "train"])
def test_a_data_set_that_cannot_be_had(
    verb: str, archives: Path, run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(omniglot_archives, "_REPOSITORY", "http://127.0.0.1:1")
    (archives / "data/omniglot/images_background_small1.zip").unlink()
    message = refused(run, verb, write(tasks=OMNIGLOT))
    assert "error: tasks: Omniglot's images_background_small1.zip cannot be had: there is no " in message
    assert "set HPO_DATA_DIR to the folder" in message


@pytest.mark.parametrize(
    ("path", "dimension", "expected"),
    [
        ("tasks.queries", {"type": "int", "low": 1, "high": 20}, "shots + queries = 1 + 20 = 21, expected at most 20"),
        ("tasks.ways", {"type": "categorical", "choices": [2, 40, 3]}, "tasks.ways: found 40, expected at most 28"),
    ],
)
def test_the_most_that_a_study_may_ask_of_its_data(
    path: str, dimension: dict[str, Any], expected: str, archives: Path, run: Run, write: Write
) -> None:
    assert expected in refused(run, "launch", write(tasks=OMNIGLOT, search={path: dimension}))


TEXT = {"kind": "text", "file": "t.csv", "ways": 2, "shots": 1, "queries": 2}
SERIES = {"kind": "series", "file": "t.csv", "window": 2, "shots": 1, "queries": 2}
TEXTS = "text,label\n" + "".join(f"word{i},label{n}\n" for n in range(10) for i in range(5))


@pytest.mark.parametrize("verb", ["launch", "train"])
@pytest.mark.parametrize(
    ("tasks", "content", "expected"),
    [
        (TEXT, None, "tasks.file: there is no {}/t.csv: a relative path is looked for in the working directory"),
        (SERIES, None, "tasks.file: there is no {}/t.csv: a relative path is looked for in the working directory"),
        (TEXT, "text,label\nhello,\n", "{}/t.csv, line 2, column 'label': found nothing, expected text or an integer"),
        (SERIES, "series,time,value\na,1,x\n", "{}/t.csv, line 2, column 'value': found 'x', expected a finite number"),
    ],
)
def test_a_file_that_is_missing_or_bad(
    verb: str,
    tasks: dict[str, Any],
    content: str | None,
    expected: str,
    folder: Path,
    run: Run,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HPO_DATA_DIR", raising=False)
    if content is not None:
        (folder / "t.csv").write_text(content)
    assert refused(run, verb, write(tasks=tasks)).startswith(f"error: {expected.format(folder)}")


def test_what_is_searched_does_not_matter_for_a_training(folder: Path, run: Run, write: Write) -> None:
    (folder / "t.csv").write_text(TEXTS)
    path = write(tasks=TEXT, search={"tasks.queries": {"type": "int", "low": 1, "high": 9}})
    assert "label 'label0' has 5 different texts (the first in line 2), expected at least 10" in refused(
        run, "launch", path
    )
    assert "accuracy" in run("train", str(path), "--seeds", "1", "--device", "cpu").stdout


def test_every_kind_that_is_searched_is_looked_at(folder: Path, run: Run, write: Write) -> None:
    search = {"tasks.kind": {"type": "categorical", "choices": ["sinusoid", "series"]}}
    path = write(tasks={"kind": "sinusoid", "file": "t.csv"}, search=search)
    assert "tasks.file: there is no" in refused(run, "launch", path)
