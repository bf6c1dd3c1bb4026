"""Slurm workers: submitit's local executor for real, and the scripts and queues of a Slurm that is made up."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from hpo.config import StudyConfig
from hpo.executors.base import ClusterUnusable
from hpo.executors.worker_process import WorkersFailed
from hpo.launch import create_or_resume
from hpo.results import queries
from hpo.results.engine import connect
from tests.end_to_end.support import CONFIG, Hpo, wait_until
from tests.end_to_end.test_study import LONG
from tests.executors import fake_slurm
from tests.executors.support import command_line

pytest.importorskip("submitit", reason="the slurm extra is not installed")

GOLDEN = Path(__file__).parent.parent / "golden" / "sbatch.sh"
EXECUTION: dict[str, Any] = {
    "executor": "slurm",
    "workers": 8,
    "partition": "gpu",
    "time_limit": "4:00:00",
    "gpus_per_worker": 1,
    "cpus_per_worker": 4,
    "memory_gb": 16.0,
    "setup": ["module load cuda/12.8"],
    "extra": {"account": "lab", "exclusive": True},
}


def executor(folder: Path, url: str = "postgresql://me:secret@db/hpo", cluster: str = "slurm", **changes: Any) -> Any:
    from hpo.executors.on_slurm import SlurmExecutor

    execution = StudyConfig.from_dict({**CONFIG, "execution": {**EXECUTION, **changes}}).execution
    environment = {"HPO_STORAGE": url, "HPO_HOME": str(folder)}
    return SlurmExecutor("small", execution, environment, folder / "logs", "0a1b2c3d-1", cluster)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    from hpo.executors import on_slurm

    monkeypatch.setattr(on_slurm, "LOOK_EVERY_S", 0.0)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slurm's commands on the PATH, and the folder of what they know."""
    state, programs = tmp_path / "slurm", tmp_path / "bin"
    state.mkdir()
    programs.mkdir()
    for name in fake_slurm.COMMANDS:
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {fake_slurm.__file__} {name} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(state))
    return state


def states(slurm: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((slurm / "states.json").read_text())
    return found


def become(slurm: Path, state: str) -> None:
    (slurm / "states.json").write_text(json.dumps(dict.fromkeys(states(slurm), state)))


def test_the_script_is_as_agreed(slurm: Path, tmp_path: Path) -> None:
    """``HPO_WRITE_GOLDEN=1 pytest tests/executors/test_on_slurm.py`` writes it anew."""
    from hpo.executors.on_slurm import MOST_TIMEOUTS

    jobs = executor(tmp_path)
    jobs.start()
    assert (jobs.alive, jobs.waiting) == (8, 8)
    script = (slurm / "script-4101.sh").read_text()
    written = script.replace(str(tmp_path), "/home/me/.hpo").replace(sys.executable, "/home/me/.venv/bin/python")
    if os.environ.get("HPO_WRITE_GOLDEN") == "1":
        GOLDEN.write_text(written)
    assert written == GOLDEN.read_text()

    submission = jobs._jobs[7].submission()
    assert (submission.function.study, submission.function.device, submission.function.threads) == ("small", None, 4)
    assert submission._timeout_countdown == MOST_TIMEOUTS

    environment = json.loads((slurm / "environment-4101.json").read_text())
    assert environment["HPO_STORAGE"] == "postgresql://me:secret@db/hpo"
    assert "HPO_STORAGE" not in os.environ
    left = [path for path in (tmp_path / "logs").iterdir() if b"secret" in path.read_bytes()]
    assert left == []
    assert (tmp_path / "logs").stat().st_mode & 0o022 == 0


def test_a_second_launch_takes_the_jobs_over(slurm: Path, tmp_path: Path) -> None:
    executor(tmp_path, workers=3).start()
    again = executor(tmp_path, workers=2)
    again.start()
    assert states(slurm) == {"4101_0": "PENDING", "4101_1": "PENDING", "4101_2": "CANCELLED by 1000"}
    assert again.alive == 2
    more = executor(tmp_path, workers=3)
    more.start()
    assert states(slurm)["4102"] == "PENDING"
    more.stop()
    assert set(states(slurm).values()) == {"CANCELLED by 1000"}


def test_jobs_that_end_badly_are_an_error_with_the_end_of_a_log(slurm: Path, tmp_path: Path) -> None:
    jobs = executor(tmp_path, workers=2)
    jobs.start()
    jobs.tend()
    become(slurm, "COMPLETED")
    wait_until(lambda: jobs.tend() or jobs.alive == 0, timeout=10)
    jobs.tend()
    become(slurm, "OUT_OF_MEMORY")
    (tmp_path / "logs" / "4101_0_0_log.out").write_text("slurmstepd: error: Detected 1 oom_kill event\n")
    with pytest.raises(WorkersFailed, match=r"job 4101_0 has ended as OUT_OF_MEMORY; the end of .*\n.*oom_kill"):
        jobs.tend()


def test_what_sbatch_refuses_is_said(slurm: Path, tmp_path: Path) -> None:
    (slurm / "refuse").touch()
    with pytest.raises(ClusterUnusable, match=r"Slurm did not take the jobs: .*invalid partition specified: gpu"):
        executor(tmp_path).start()


def test_a_launch_submits_and_leaves(slurm: Path, tmp_path: Path, sqlite_url: str) -> None:
    hpo = Hpo(tmp_path, sqlite_url)
    execution = {"executor": "slurm", "workers": 2, "time_limit": 60}
    said = hpo("launch", "--detach", str(hpo.replace(execution=execution)))
    (logs,) = (tmp_path / ".hpo").glob("*/logs")
    assert f"2 Slurm workers (1 thread each) have been asked for; logs: {logs}" in said
    assert states(slurm) == {"4101_0": "PENDING", "4101_1": "PENDING"}
    environment = json.loads((slurm / "environment-4101.json").read_text())
    assert (environment["HPO_STORAGE"], environment["HPO_HOME"]) == (sqlite_url, str(tmp_path / ".hpo"))
    assert "#SBATCH --job-name=hpo-small-" in (slurm / "script-4101.sh").read_text()


def below(name: str) -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if name in command_line(child)]


def test_a_job_is_preempted_and_goes_on_with_its_checkpoint(
    tmp_path: Path, sqlite_url: str, request: pytest.FixtureRequest
) -> None:
    training = {**LONG["training"], "meta_iterations": 1000, "eval_every": 100}
    config = StudyConfig.from_dict({**CONFIG, "training": training, "stop": {"trials": 2}})
    with connect(sqlite_url, create=True) as database:
        create_or_resume(config, database)
        jobs = executor(tmp_path, sqlite_url, "local", workers=1, gpus_per_worker=0, cpus_per_worker=1, setup=[])
        jobs.start()
        request.addfinalizer(jobs.stop)
        wait_until(lambda: any(row.meta_iteration for row in queries.progress(database, "small").running), timeout=60)
        (job,) = below("submitit.core._submit")
        job.send_signal(signal.SIGUSR2)  # as Slurm does, ahead of a preemption or a time limit
        wait_until(lambda: queries.progress(database, "small").counts.let_go == 1, timeout=15)
        wait_until(lambda: jobs.tend() or jobs.alive == 0, timeout=60)
        rows = queries.study_trials(database, "small")
    assert [(row.outcome, row.attempts) for row in rows] == [
        ("ok", 1),
        ("ok", 1),
    ]  # a preemption is no fault of the trial's
    (log,) = (tmp_path / "logs").glob("*_log.out")
    said = log.read_text()
    assert said.count("trial 0 of small, attempt 1") == 2
    assert "Requeued job" in said
    assert below("--with-parent") == []
