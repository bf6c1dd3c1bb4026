"""A study with ``objective: {inner_steps: best}``: where the number that each trial has chosen is seen."""

from __future__ import annotations

import pytest
import yaml

from hpo.cli.summary import print_summary
from hpo.cli.watch import Watch
from hpo.config import StudyConfig, load_study_config
from hpo.launch import create_or_resume
from hpo.results.engine import Database
from hpo.study import Study
from tests.cli.conftest import RAW, Run, as_json, ok


@pytest.fixture
def chosen(database: Database) -> Study:
    """Trial 0 is better, after two steps; trial 1 was best after one."""
    raw = {**RAW, "name": "lab", "objective": {"inner_steps": "best"}, "stop": {"trials": 2}}
    made = create_or_resume(StudyConfig.from_dict(raw), database)
    for loss, steps in ((0.7, 2), (0.8, 1)):
        lease = made.lease_trial("worker", "host-1", "cpu")
        assert lease is not None
        made.finish(lease, ok(loss).model_copy(update={"inner_steps": steps}))
    return made


def test_best_has_a_column(run: Run, chosen: Study) -> None:
    lines = [line.split() for line in run("best", "lab").stdout.splitlines()]
    assert lines[0] == ["rank", "trial", "objective", "test-time", "steps", "inner_lr"]
    assert [line[:6] for line in lines[1:]] == [
        ["1", "0", "0.700", "±", "0.012", "2"],
        ["2", "1", "0.800", "±", "0.012", "1"],
    ]
    assert [row["objective_inner_steps"] for row in as_json(run("best", "lab", "--json"))] == [2, 1]


def test_a_study_that_chooses_nothing_has_none(run: Run, study: Study) -> None:
    assert "test-time" not in run("best", study.name).stdout
    assert "after" not in run("show", study.name, "0").stdout


def test_show_says_after_how_many(run: Run, chosen: Study) -> None:
    assert "objective        0.700 ± 0.012 after 2 inner steps" in run("show", "lab", "0").stdout
    assert "objective        0.800 ± 0.012 after 1 inner step\n" in run("show", "lab", "1").stdout
    assert as_json(run("show", "lab", "0", "--json"))["objective_inner_steps"] == 2


def test_the_summary_counts_it_to_the_config(
    chosen: Study, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_summary(Watch(database, chosen.config).look(), database, "sqlite:///hpo.db", as_json=False) == 0
    assert "  objective.inner_steps  2\n" in capsys.readouterr().out


def test_export_writes_the_number(run: Run, chosen: Study) -> None:
    run("export", "lab", "-o", "best.yaml")
    with open("best.yaml", encoding="utf-8") as file:
        text = file.read()
    assert text.startswith("# Trial 0 of the study lab: ok, 0.700 ± 0.012 after 2 inner steps;")
    assert yaml.safe_load(text)["objective"]["inner_steps"] == 2
    assert load_study_config("best.yaml").objective.inner_steps == 2
