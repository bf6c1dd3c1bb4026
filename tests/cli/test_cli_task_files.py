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
