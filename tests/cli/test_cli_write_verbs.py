"""The verbs that change a study or write a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sqlalchemy import update

from hpo.config import TrialConfig, load_study_config
from hpo.meta.checkpoint import FILE_NAME, TrainingState, save
from hpo.meta.exported import ExportedLearner
from hpo.meta.outer import Outer
from hpo.meta.trial import Trial
from hpo.results import queries, store
from hpo.results.engine import Database
from hpo.results.schema import hpo_trial
from hpo.study import Study
from tests.cli.conftest import Run


def test_export_loads_as_a_config_of_the_same_trial(run: Run, study: Study, database: Database) -> None:
    result = run("export", study.name, "-o", "best.yaml")
    assert result.stdout == ""
    assert "hpo train best.yaml" in result.stderr
    exported = load_study_config("best.yaml")
    detail = queries.trial(database, study.name, 0)  # the likely best, not the luckiest
    assert exported.name == "lab [bold]-trial-0"
    assert exported.search == {}
    assert exported.trial_config({}).to_dict() == detail.config
    assert exported.learner.inner_lr == detail.trial.parameters["learner.inner_lr"]  # type: ignore[attr-defined]


def test_export_of_a_chosen_trial_to_standard_output(run: Run, study: Study, database: Database) -> None:
    result = run("export", study.name, "--trial", "1")
    assert result.stdout.startswith("# Trial 1 of the study lab [bold]: ok, 0.790 ± 0.012; written by hpo export.\n")
    Path("one.yaml").write_text(result.stdout)
    assert load_study_config("one.yaml").trial_config({}).to_dict() == queries.trial(database, study.name, 1).config


def test_export_replaces_no_file_unless_forced(run: Run, study: Study) -> None:
    Path("mine.yaml").write_text("precious")
    assert "--force" in run("export", study.name, "-o", "mine.yaml", code=2).stderr
    assert Path("mine.yaml").read_text() == "precious"
    run("export", study.name, "-o", "mine.yaml", "--force")
    assert load_study_config("mine.yaml").name == "lab [bold]-trial-0"
    assert sorted(path.name for path in Path.cwd().glob("*.yaml*")) == ["mine.yaml"]


def test_export_to_where_nothing_can_be_written(run: Run, study: Study) -> None:
    assert "nowhere/best.yaml cannot be written" in run("export", study.name, "-o", "nowhere/best.yaml", code=2).stderr


@pytest.fixture
def trained(study: Study, database: Database, folder: Path) -> Path:
    """Trial 0 has a checkpoint, of parameters that nobody has trained."""
    trial = queries.trial(database, study.name, 0)
    config = TrialConfig.from_dict(trial.config or {})
    outer = Outer(Trial.of(config, torch.device("cpu")).initial_parameters(), config.training)
    path = folder / "home" / FILE_NAME
    state = TrainingState(config=config.to_dict(), meta_iteration=config.training.meta_iterations, seconds=1.0)
    save(path, state, outer.tensors())
    with database.transaction() as connection:
        connection.execute(
            update(hpo_trial).where(hpo_trial.c.trial_id == trial.trial.trial_id).values(checkpoint_uri=str(path))
        )
    return path


def test_export_of_the_learner_itself(run: Run, study: Study, trained: Path, database: Database) -> None:
    assert "hpo adapt learned" in run("export", study.name, "--learner", "learned").stderr
    config = load_study_config("learned/config.yaml").trial_config({})
    assert config.to_dict() == queries.trial(database, study.name, 0).config
    initial = Trial.of(config, torch.device("cpu")).initial_parameters()
    found = ExportedLearner.load("learned").meta
    assert found.keys() == initial.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in initial.items())
    assert "--force" in run("export", study.name, "--learner", "learned", code=2).stderr
    run("export", study.name, "--learner", "learned", "--force")
    assert sorted(path.name for path in Path("learned").iterdir()) == [
        "config.yaml",
        "learner.safetensors",
        "task.json",
    ]


def test_export_of_a_learner_that_is_not_there(run: Run, study: Study, trained: Path) -> None:
    found = run("export", study.name, "--trial", "2", "--learner", "learned", code=2).stderr
    assert (
        "trial 2 of 'lab [bold]' has no trained learner: only trials that were trained to their end keep one" in found
    )
    trained.write_bytes(trained.read_bytes()[:-1])
    assert "hpo train can train the config again" in run("export", study.name, "--learner", "x", code=2).stderr
    trained.unlink()
    assert "is not on this machine" in run("export", study.name, "--learner", "x", code=2).stderr
    assert not Path("learned").exists()
    assert not Path("x").exists()
    assert "one of them" in run("export", study.name, "-o", "a.yaml", "--learner", "x", code=2).stderr


def test_export_of_a_study_without_results(run: Run, study: Study, database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE trials SET state = 'FAIL'")
    assert "trained to its end yet" in run("export", study.name, code=2).stderr


@pytest.mark.parametrize(
    ("verbs", "expected"),
    [(["pause"], "paused"), (["stop"], "stopped"), (["pause", "resume"], "running"), (["stop", "resume"], "running")],
)
def test_control(verbs: list[str], expected: str, run: Run, study: Study, database: Database) -> None:
    results = [run(verb, study.name) for verb in verbs]
    assert queries.study(database, study.name).status == expected
    assert results[-1].stdout.startswith(f"lab [bold]: {expected} (was ")


def test_control_twice_is_once(run: Run, study: Study) -> None:
    run("pause", study.name)
    assert run("pause", study.name).stdout == "lab [bold]: paused (as before)\n"


@pytest.mark.parametrize("verb", ["pause", "resume", "stop"])
def test_a_study_that_is_done_stays_done(verb: str, run: Run, study: Study, database: Database) -> None:
    store.set_status(database, study.study_id, "done")
    assert "stop.trials" in run(verb, study.name, code=2).stderr
    assert queries.study(database, study.name).status == "done"
