"""The benches of the database, as small as they can be."""

from __future__ import annotations

import json

import pytest

from tests.bench import large, load


def test_every_trial_is_made_once(capsys: pytest.CaptureFixture[str]) -> None:
    load.main(["--on", "sqlite", "--workers", "3", "--trials", "12"])
    found = json.loads(capsys.readouterr().out)["sqlite"]
    assert found["ours"]["trials"] == {"COMPLETE": 12}
    assert (found["ours"]["errors"], found["ours"]["duplicates"]) == ([], 0)
    assert found["optuna"]["errors"] == []


def test_a_study_that_was_filled_is_like_one_that_was_worked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command ends well: of a database that no worker could have written they would not."""
    large.main(["--on", "sqlite", "--trials", "30", "--runs", "1"])
    assert json.loads(capsys.readouterr().out)["sqlite"].keys() == large.COMMANDS.keys()
