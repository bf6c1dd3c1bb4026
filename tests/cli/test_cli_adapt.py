"""``hpo adapt`` as its user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from hpo.config import TrialConfig
from hpo.meta.exported import CONFIG, contents
from hpo.meta.trial import Trial
from tests.cli.conftest import Run

pytest.importorskip("wordfreq", reason="language_id needs the text extra")
SUPPORT = "text,label\nguten morgen,de\nvielen dank,de\nbonjour,fr\nmerci beaucoup,fr\n"
QUERY = "id,text,prediction\n1,danke,mine\n2,au revoir,mine\n"


@pytest.fixture
def files(folder: Path) -> None:
    raw = {"tasks": {"kind": "language_id", "ways": 3}, "learner": {"kind": "maml"}, "model": {"hidden_size": 4}}
    config = TrialConfig.from_dict(raw)
    Path("best").mkdir()
    meta = Trial.of(config, torch.device("cpu")).initial_parameters()
    for name, content in contents(config, meta).items():
        Path("best", name).write_bytes(content)
    Path("best", CONFIG).write_text(yaml.safe_dump({"name": "best", **config.to_dict()}))
    Path("support.csv").write_text(SUPPORT)
    Path("query.csv").write_text(QUERY)


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
