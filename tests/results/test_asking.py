"""Several processes make one new database at the same moment and ask one study in turn."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from sqlalchemy import text

from hpo.errors import LeaseLost, StudyNotFound
from hpo.results import store
from hpo.results.clock import NOW
from hpo.results.engine import connect
from tests.results.conftest import Lab

PROCESSES, TRIALS = 4, 12
WORKER = """
import sys, time, os
from pathlib import Path
import optuna
from hpo.results import store
from hpo.results.engine import connect

url, folder, worker, trials = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
optuna.logging.set_verbosity(optuna.logging.ERROR)
(folder / f"ready-{worker}").touch()
while not (folder / "go").exists():
    time.sleep(0.002)
database = connect(url, create=True)
study_id = store.create_study(
    database, name="race", direction="minimize", metric="query_loss", config={}, config_hash="h", code_version="0"
)
study = optuna.load_study(study_name="race", storage=database.optuna_storage, sampler=optuna.samplers.RandomSampler())
while True:
    with store.asking(database, study_id, worker, 60.0):
        (folder / "inside").touch(exist_ok=False)  # raises where somebody else is inside
        begun = store.count_trials(database, study_id).begun
        if begun < trials:
            trial = study.ask()
            trial.suggest_float("x", 0.0, 1.0)
            store.begin_trial(database, study_id=study_id, trial_id=trial._trial_id, worker_id=worker, lease_s=60.0,
                              config={}, seed=0, host="h", device="cpu")
        (folder / "inside").unlink()
    if begun >= trials:
        break
    time.sleep(0.01)
"""


def test_processes_create_and_ask_together(storage_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", WORKER, storage_url, str(tmp_path)]
    processes = [
        subprocess.Popen([*command, f"w{i}", str(TRIALS)], stderr=subprocess.PIPE, text=True) for i in range(PROCESSES)
    ]
    while len(list(tmp_path.glob("ready-*"))) < PROCESSES and all(process.poll() is None for process in processes):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert errors == [""] * PROCESSES
    with connect(storage_url) as database:
        study = optuna.load_study(study_name="race", storage=database.optuna_storage)
        assert [trial.number for trial in study.trials] == list(range(TRIALS))
        assert store.count_trials(database, study._study_id).running == TRIALS


def locked_by(lab: Lab, owner: str, ttl_s: float) -> None:
    """As a process leaves it that was killed while it asked."""
    with lab.database.transaction() as connection:
        taken = f"UPDATE hpo_study SET ask_owner = :owner, ask_expires = {NOW[lab.database.dialect]} + :ttl_s"
        connection.execute(text(taken), {"owner": owner, "ttl_s": ttl_s})


def test_a_dead_askers_lock_runs_out(lab: Lab) -> None:
    locked_by(lab, "dead", 0.2)
    with store.asking(lab.database, lab.study_id, "alive"):
        (row,) = lab.rows("SELECT ask_owner FROM hpo_study")
        assert row["ask_owner"] == "alive"
    assert lab.rows("SELECT ask_owner, ask_expires FROM hpo_study") == [{"ask_owner": None, "ask_expires": None}]


def test_who_comes_back_late_does_not_open_the_lock_of_another(lab: Lab) -> None:
    with store.asking(lab.database, lab.study_id, "late"):
        locked_by(lab, "alive", 60.0)
    (row,) = lab.rows("SELECT ask_owner FROM hpo_study")
    assert row["ask_owner"] == "alive"


def test_who_is_at_it_keeps_the_lock(lab: Lab) -> None:
    with store.asking(lab.database, lab.study_id, "a", 0.4):
        time.sleep(1.0)  # a long suggestion
        with store.asking(lab.database, lab.study_id, "b", 60.0, give_up=lambda: True) as acquired:
            assert not acquired
    time.sleep(0.3)
    assert lab.rows("SELECT ask_owner, ask_expires FROM hpo_study") == [{"ask_owner": None, "ask_expires": None}]


def test_who_was_stopped_while_asking_makes_no_trial(lab: Lab) -> None:
    with store.asking(lab.database, lab.study_id, "a"):
        assert store.new_trial(lab.database, lab.study_id, "a").number == 0
        locked_by(lab, "b", 60.0)  # as if "a" had been stopped for long
        with pytest.raises(LeaseLost, match="another worker asks"):
            store.new_trial(lab.database, lab.study_id, "a")
    assert store.count_trials(lab.database, lab.study_id).running == 1


def test_an_error_inside_opens_the_lock(lab: Lab) -> None:
    with pytest.raises(RuntimeError, match="inside"), store.asking(lab.database, lab.study_id, "w", 60.0):
        raise RuntimeError("inside")
    assert lab.rows("SELECT ask_owner FROM hpo_study") == [{"ask_owner": None}]


def test_no_waiting_for_a_study_that_is_gone(lab: Lab) -> None:
    with pytest.raises(StudyNotFound), store.asking(lab.database, 999, "w", 60.0):
        pass


def test_who_lost_the_database_inside_gets_its_own_lock_back(lab: Lab) -> None:
    locked_by(lab, "a", 60.0)
    with store.asking(lab.database, lab.study_id, "a") as acquired:
        assert acquired


def test_waiting_can_be_given_up(lab: Lab) -> None:
    locked_by(lab, "a", 60.0)
    with store.asking(lab.database, lab.study_id, "b", give_up=lambda: True) as acquired:
        assert not acquired
    (row,) = lab.rows("SELECT ask_owner FROM hpo_study")
    assert row["ask_owner"] == "a"


def test_the_lock_goes_with_its_dead_worker(lab: Lab) -> None:
    locked_by(lab, "a", 60.0)
    store.release_worker(lab.database, "a")
    with store.asking(lab.database, lab.study_id, "b", give_up=lambda: True) as acquired:
        assert acquired
