"""Checkpoints, logs and exports stay where they belong, whatever a database says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hpo.protocol import Finished
from hpo.records import Outcome, TrialOutcome
from hpo.results.engine import Database
from hpo.study import Lease, Study
from hpo.worker.training import Training
from tests.cli.conftest import Run

MakeStudy = Callable[..., Study]
NAMES = ["../../etc/passwd", "/etc/passwd", "..", ".", "a/../../b", "~root", "$(touch stolen)", "a\\..\\b", "%2e%2e%2f"]


def leased(study: Study) -> Lease:
    lease = study.lease_trial("worker", "host", "cpu")
    assert lease is not None
    return lease


@pytest.mark.parametrize("name", NAMES)
def test_the_folders_of_a_study_are_made_of_numbers(database: Database, make_study: MakeStudy, name: str) -> None:
    study = make_study(database, name)
    home = Path(".hpo").absolute()
    spec = study.spec(leased(study), "cpu", 1, study.folder(home))
    assert spec.checkpoint_dir is not None
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9]+/trial-[0-9]+", str(Path(spec.checkpoint_dir).relative_to(home)))


@pytest.mark.parametrize("uri", ["../../precious", "/etc/passwd", "precious", "file:///etc/passwd", "x" * 10_000])
def test_where_a_database_says_that_a_checkpoint_lies_is_not_used(
    database: Database, make_study: MakeStudy, folder: Path, uri: str
) -> None:
    """Neither when the trial goes on, nor when what it leaves is removed."""
    (folder / "precious").mkdir()
    (folder / "precious" / "checkpoint.safetensors").write_text("keep me")
    study = make_study(database)
    let_go = leased(study)
    study.release(let_go, interrupted=True)
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE hpo_trial SET checkpoint_uri = :uri WHERE trial_id = :id"), {"uri": uri, "id": let_go.trial_id}
        )
    lease = leased(study)
    assert lease.trial_id == let_go.trial_id
    spec = study.spec(lease, "cpu", 1, study.folder(folder / ".hpo"))
    assert Path(str(spec.checkpoint_dir)).is_relative_to(folder / ".hpo")
    ended = Finished(trial_id=lease.trial_id, outcome=TrialOutcome(outcome=Outcome.DIVERGED, reason="nan"))
    training: Any = Training(study, lease, spec, *[None] * 3)  # type: ignore[arg-type]  # nothing of them is asked
    assert training.handle(ended)
    assert not Path(str(spec.checkpoint_dir)).exists()
    assert (folder / "precious" / "checkpoint.safetensors").read_text() == "keep me"


def test_a_link_in_place_of_a_checkpoint_is_not_followed(
    database: Database, make_study: MakeStudy, folder: Path
) -> None:
    (folder / "precious").mkdir()
    (folder / "precious" / "file").write_text("keep me")
    study = make_study(database)
    lease = leased(study)
    checkpoints = study.folder(folder / ".hpo") / f"trial-{lease.trial_id}"
    checkpoints.parent.mkdir(parents=True)
    checkpoints.symlink_to(folder / "precious")
    study.spec(lease, "cpu", 1, study.folder(folder / ".hpo"))
    assert (folder / "precious" / "file").read_text() == "keep me"


@pytest.mark.parametrize("name", NAMES)
def test_an_export_goes_where_it_was_asked_to(
    run: Run, database: Database, make_study: MakeStudy, folder: Path, name: str
) -> None:
    make_study(database, name)
    before = {path.name for path in folder.iterdir()}
    run("export", name, "-o", "best.yaml")
    assert {path.name for path in folder.iterdir()} == before | {"best.yaml"}
    again = run("export", name, "-o", "best.yaml", code=2)
    assert "--force" in again.stderr


@pytest.mark.parametrize(
    "output", ["no/such/folder.yaml", "x" * 5_000, "a\0b", "/proc/nothing.yaml", ".", "best.yaml/x"]
)
def test_an_export_to_nowhere_changes_nothing(
    run: Run, database: Database, make_study: MakeStudy, folder: Path, output: str
) -> None:
    study = make_study(database)
    (folder / "best.yaml").write_text("a file")
    before = {path.name for path in folder.iterdir()}
    assert "cannot be written" in run("export", study.name, "--force", "-o", output, code=2).stderr
    assert {path.name for path in folder.iterdir()} == before
