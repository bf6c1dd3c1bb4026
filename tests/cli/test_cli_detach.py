"""A launch that leaves its study to others, and where a launch's workers are to run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from hpo.cli import placement
from hpo.config.execution import ExecutionConfig
from hpo.results import queries, store
from hpo.results.engine import connect
from tests.cli.conftest import Run, as_json

SLURM = {"executor": "slurm", "workers": 2, "time_limit": 60}


def test_nothing_is_started_and_the_next_step_is_said(run: Run, write: Callable[..., Path]) -> None:
    result = run("launch", str(write()), "--detach")
    name = result.stdout.splitlines()[0].partition(":")[0]
    assert "trials have ended" in result.stdout
    assert "no worker is there yet: start one on each device with  hpo worker --forever" in result.stdout
    with connect("sqlite:///hpo.db") as database:
        assert [row.name for row in queries.running_studies(database)] == [name]
        assert queries.workers(database) == []
        store.heartbeat(database, "w", host="there", pid=1, device="cuda:0", trial_id=None)

    again = run("launch", "study.yaml", "--detach")
    assert "1 worker of this database will take its trials" in again.stdout
    record = as_json(run("launch", "study.yaml", "--detach", "--json"))
    assert (record["name"], record["status"]) == (name, "running")


def test_the_commands_need_the_database_where_it_is_another(run: Run, write: Callable[..., Path]) -> None:
    result = run("launch", str(write()), "--detach", "--storage", "sqlite:///other.db")
    assert "results in sqlite:///other.db (set HPO_STORAGE to it for the commands below)" in result.stdout


def test_devices_elsewhere_are_not_asked_for_here(run: Run, write: Callable[..., Path]) -> None:
    assert run("launch", str(write(execution={"devices": ["cuda:7"]})), "--detach").exit_code == 0


def test_a_cluster_that_ends_with_the_launch_cannot_be_left(run: Run, write: Callable[..., Path]) -> None:
    result = run("launch", str(write(execution={"executor": "ray", "address": "local"})), "--detach", code=2)
    assert "execution.address: local is a cluster that ends with the launch" in result.stderr
    assert not Path("hpo.db").exists()


@pytest.mark.parametrize(("execution", "extra"), [({"executor": "ray"}, "ray"), (SLURM, "slurm")])
def test_a_package_that_is_missing_is_named(
    execution: dict[str, Any], extra: str, run: Run, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = util.find_spec
    monkeypatch.setattr(placement, "find_spec", lambda name: None if name in ("ray", "submitit") else real(name))
    result = run("launch", str(write(execution=execution)), code=2)
    assert f"execution.executor: {extra} needs the package" in result.stderr
    assert f"pip install 'hpo[{extra}]'" in result.stderr
    assert not Path("hpo.db").exists()


def test_slurm_is_launched_where_slurm_is(
    run: Run, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit", reason="the slurm extra is not installed")
    monkeypatch.setenv("PATH", "")
    result = run("launch", str(write(execution=SLURM)), code=2)
    assert "this machine has no sbatch: launch on a login node of the cluster" in result.stderr


def test_a_ray_cluster_that_does_not_answer_is_said(run: Run, write: Callable[..., Path]) -> None:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    result = run("launch", str(write(execution={"executor": "ray"})), code=1)
    assert "no Ray cluster answers at execution.address: auto" in result.stderr
    assert "start one with  ray start --head" in result.stderr


def test_what_workers_elsewhere_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("HPO_DATA_DIR", "/data")
    monkeypatch.setenv("EDITOR", "ed")
    told = placement._environment("postgresql://me@db/hpo")
    assert told["PGPASSWORD"] == "secret"
    assert told["HPO_DATA_DIR"] == "/data"
    assert told["HPO_STORAGE"] == "postgresql://me@db/hpo"
    assert Path(told["HPO_HOME"]).is_absolute()
    assert "EDITOR" not in told


@pytest.mark.parametrize(
    ("execution", "said"),
    [
        ({"executor": "ray", "workers": 8, "gpus_per_worker": 0.25}, "8 Ray workers (0.25 GPU, 1 thread each)"),
        ({**SLURM, "workers": 1, "cpus_per_worker": 4}, "1 Slurm worker (4 threads each)"),
    ],
)
def test_a_place_is_said(execution: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "find_spec", lambda name: True)
    monkeypatch.setattr(placement, "which", lambda name: name)
    assert placement.placement(ExecutionConfig(**execution)).said == said
