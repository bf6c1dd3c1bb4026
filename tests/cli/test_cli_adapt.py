"""``hpo adapt`` as its user types it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from sqlalchemy import select

from hpo.config import TrialConfig
from hpo.meta.exported import CONFIG, contents
from hpo.meta.trial import Trial
from hpo.results import store
from hpo.results.engine import Database, connect
from hpo.results.schema import hpo_remembered_task
from tests.cli.conftest import Run

pytest.importorskip("wordfreq", reason="language_id needs the text extra")
SUPPORT = "text,label\nguten morgen,de\nvielen dank,de\nbonjour,fr\nmerci beaucoup,fr\n"
QUERY = "id,text,prediction\n1,danke,mine\n2,au revoir,mine\n"


@pytest.fixture
def files(folder: Path) -> None:
    write_learner({"kind": "maml"})
    Path("support.csv").write_text(SUPPORT)
    Path("query.csv").write_text(QUERY)


def write_learner(learner: dict[str, Any]) -> None:
    raw = {"tasks": {"kind": "language_id", "ways": 3}, "learner": learner, "model": {"hidden_size": 4}}
    config = TrialConfig.from_dict(raw)
    Path("best").mkdir(exist_ok=True)
    meta = Trial.of(config, torch.device("cpu")).initial_parameters()
    for name, content in contents(config, meta).items():
        Path("best", name).write_bytes(content)
    Path("best", CONFIG).write_text(yaml.safe_dump({"name": "best", **config.to_dict()}))


def test_the_querys_rows_with_predictions_beside(run: Run, files: None) -> None:
    lines = run("adapt", "best", "--support", "support.csv", "--query", "query.csv").stdout.splitlines()
    assert lines[0] == "id,text,prediction,prediction (predicted),probability of de,probability of fr"
    assert [line.split(",")[:3] for line in lines[1:]] == [["1", "danke", "mine"], ["2", "au revoir", "mine"]]
    assert {line.split(",")[3] for line in lines[1:]} <= {"de", "fr"}


def test_to_a_file_that_is_not_replaced_unless_forced(run: Run, files: None) -> None:
    command = ("adapt", "best", "--support", "support.csv", "--query", "query.csv", "-o", "predictions.csv")
    assert "predictions.csv: 2 predictions" in run(*command).stderr
    first = Path("predictions.csv").read_text()
    assert first.startswith("id,text,prediction,")
    assert "--force" in run(*command, code=2).stderr
    run(*command, "--force", "--steps", "7")
    assert Path("predictions.csv").read_text() != first


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "--support", "support.csv", "--query", "query.csv"), "expected a folder that hpo export"),
        (("best", "--support", "nowhere.csv", "--query", "query.csv"), "--support: nowhere.csv cannot be read"),
        (("best", "--support", "support.csv", "--query", "best"), "--query: found best, expected a file"),
        (("best", "--support", "query.csv", "--query", "query.csv"), "query.csv has no column 'label'"),
    ],
)
def test_what_is_wrong_is_said(run: Run, files: None, arguments: tuple[str, ...], said: str) -> None:
    result = run("adapt", *arguments, code=2)
    assert said in result.stderr
    assert result.stdout == ""


def test_tasks_are_remembered_in_the_database(run: Run, files: None, storage_url: str) -> None:
    """The same task once more starts where it ended; the least recently used of two is forgotten for a third."""
    write_learner({"kind": "memory_bank", "slots": 2, "nearness": 0.9999})
    command = ("adapt", "best", "--support", "support.csv", "--query", "query.csv", "--memory", storage_url)
    first, second, third = (run(*command).stdout for _ in range(3))
    assert first != second != third
    with connect(storage_url) as database:
        (fingerprint,) = _learners(database)
        assert list(store.recall_tasks(database, fingerprint)) == [0]
        for words in ("uno dos tres", "xxxx yyyy zzzz qqqq"):
            Path("support.csv").write_text(f"text,label\n{words},es\nbonjour monsieur,fr\n")
            run(*command)
        assert sorted(store.recall_tasks(database, fingerprint)) == [0, 1]
        assert _learners(database) == [fingerprint]


def _learners(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.scalars(select(hpo_remembered_task.c.learner).distinct()))


def test_only_a_memory_bank_remembers(run: Run, files: None, sqlite_url: str) -> None:
    command = ("adapt", "best", "--support", "support.csv", "--query", "query.csv", "--memory", sqlite_url)
    assert "found a learner of kind maml, expected memory_bank" in run(*command, code=2).stderr
    assert list(Path.cwd().glob("*.db")) == []
