"""The bench of Omniglot's official runs, as small as it can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo.config import StudyConfig
from hpo.config.learner import LEARNERS
from hpo.meta.exported import ExportedLearner
from hpo.meta.tasks.omniglot_runs import official_runs
from tests.bench import omniglot
from tests.bench.omniglot import PUBLISHED, UNVERIFIED, markdown, measured, study_of
from tests.real_data import folder_with

ARCHIVES = ("images_background_small1.zip", "images_background_small2.zip", "all_runs.zip")
SMALL: dict[str, dict[str, Any]] = {
    "tasks": {"queries": 1},
    "training": {"meta_batch": 1, "meta_iterations": 1, "eval_every": 1, "eval_tasks": 2},
    "stop": {"trials": 1},
}
ROW = {
    "learner": "maml",
    "outcomes": {"ok": 2, "pruned": 5},
    "cpu_seconds": 90.0,
    "trial": 3,
    "parameters": {"model.cell": "gru", "learner.inner_steps": 2, "training.outer_lr": 0.012345},
    "validation_error": [40.04, 1.26],
    "error": [50.0, 2.0],
}


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_has_a_study(learner: str) -> None:
    config = StudyConfig.from_dict(study_of(learner, 0.5, SMALL))
    assert (config.name, config.learner.kind) == (f"omniglot-{learner}", learner)
    assert (config.stop.hours, config.stop.trials, config.tasks.shots) == (0.5, 1, 1)
    assert {f"learner.{field}" for field in LEARNERS[learner].default_search} <= set(config.search)


def test_only_the_rate_of_maml_is_searched_elsewhere_than_by_default() -> None:
    rates = {learner: study_of(learner, 1.0, {})["search"].get("learner.inner_lr") for learner in LEARNERS}
    assert [learner for learner, dimension in rates.items() if dimension] == ["maml"]


def test_the_table_has_what_was_measured_then_chance_and_what_was_published() -> None:
    _, _, measured_row, chance, *published = markdown([ROW]).splitlines()
    assert measured_row == (
        "| maml | 7 (5) | 1.5 | 40.0 ± 1.3 | 50.0 ± 2.0 | inner_steps 2, cell gru, outer_lr 0.012 |"
    )
    assert "| 95 |" in chance
    assert len(published) == len(PUBLISHED)
    assert all(UNVERIFIED in line for line in published)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HPO_DATA_DIR", str(folder_with(*(f"omniglot/{name}" for name in ARCHIVES))))
    return tmp_path


@pytest.mark.parametrize("learner", ["prototypical", "maml"])
def test_the_errors_are_those_of_the_exported_learner(learner: str, folder: Path) -> None:
    row = measured(study_of(learner, 1.0, SMALL), folder)
    runs = official_runs()
    answers = ExportedLearner.load(folder / learner).adapt_episode(runs.support)(runs.query).argmax(dim=2)
    wrong = 100.0 * (answers != runs.query.targets).double().mean(dim=1)  # (runs,)
    assert row["error"] == pytest.approx([float(wrong.mean()), float(wrong.std() / len(wrong) ** 0.5)])
    assert row["outcomes"] == {"ok": 1}
    assert row["cpu_seconds"] > 0.0


def test_prints_one_row_a_learner(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(omniglot, "measured", lambda config, _: {**ROW, "learner": config["learner"]["kind"]})
    omniglot.main(["--learners", "prototypical", "maml", "--hours", "0.1"])
    assert [line.split(" ")[1] for line in capsys.readouterr().out.splitlines()[2:4]] == ["prototypical", "maml"]
