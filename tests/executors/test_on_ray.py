"""A study in a real Ray cluster of two nodes with made-up GPUs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from hpo.results import queries
from hpo.results.engine import connect
from tests.end_to_end.support import Hpo, wait_until
from tests.end_to_end.test_study import LONG, trials
from tests.executors.support import command_line
from tests.postgres import PASSWORD, PostgresServer

pytest.importorskip("ray", reason="the ray extra is not installed")

SHORT = {**LONG["training"], "meta_iterations": 400, "eval_every": 20}
NODE: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """One node; it reports to nobody and leaves no process behind."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    found = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    yield found
    found.shutdown()
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    _, alive = psutil.wait_procs(left, timeout=20)
    assert [process.cmdline() for process in alive] == []


@pytest.fixture
def locked_hpo(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Hpo]:
    """On a database that asks for a password."""
    postgres_server.execute("CREATE DATABASE on_ray OWNER locked")
    command = Hpo(tmp_path, postgres_server.url("on_ray", "locked", PASSWORD))
    yield command
    command.close()
    postgres_server.execute("DROP DATABASE on_ray WITH (FORCE)")


def workers(node: Any) -> list[psutil.Process]:
    """The worker processes below a node's raylet."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [process for process in raylet.children(recursive=True) if "--with-parent" in command_line(process)]


def everywhere(cluster: Any) -> list[psutil.Process]:
    return [process for node in cluster.list_all_nodes() for process in workers(node)]


def training_in(storage: str) -> list[int]:
    """Process ids of the workers that train."""
    with connect(storage, create=True) as database:  # whoever is first makes the tables
        return [worker.pid for worker in queries.workers(database) if worker.number is not None]


def files_with(secret: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret in path.read_text(errors="replace")]


def test_a_node_dies_and_another_joins(cluster: Any, locked_hpo: Hpo) -> None:
    hpo = locked_hpo
    second = cluster.add_node(**NODE)
    execution = {
        "executor": "ray",
        "address": cluster.address,
        "workers": 3,
        "gpus_per_worker": 1,
        "devices": "cpu",  # the GPUs are made up
        "lease_s": 3.0,
    }
    launch = hpo.start("launch", str(hpo.replace(training=SHORT, stop={"trials": 8}, execution=execution)))
    (lost,) = wait_until(
        lambda: [process for process in workers(second) if process.pid in training_in(hpo.storage)], timeout=90
    )
    command_lines = [part for process in psutil.process_iter() for part in command_line(process)]
    assert not any(secret in part for part in command_lines for secret in (PASSWORD, quote(PASSWORD, safe="")))

    for process in (lost, *lost.children(recursive=True)):
        process.kill()
    cluster.remove_node(second, allow_graceful=False)
    third = cluster.add_node(**NODE)
    wait_until(lambda: workers(third), timeout=60)

    said, _ = launch.communicate(timeout=120)
    assert launch.returncode == 0, said
    assert "8 trials on 3 Ray workers (1 GPU, 1 thread each)" in said
    assert "2 of 3 workers run; 1 wait until there is room in the cluster" in said
    rows = trials(hpo)
    assert [(row["number"], row["outcome"]) for row in rows] == [(number, "ok") for number in range(8)]
    assert sum(row["attempts"] for row in rows) == 9
    assert {row["device"] for row in rows} == {"cpu"}
    wait_until(lambda: not everywhere(cluster), timeout=15)
    cluster.remove_node(third)
    for folder in (Path(cluster.head_node.get_session_dir_path()), hpo.folder):
        assert files_with(PASSWORD, folder) == []
        assert files_with(quote(PASSWORD, safe=""), folder) == []


def test_workers_outlive_a_launch_that_leaves_and_are_taken_over(cluster: Any, hpo: Hpo) -> None:
    cluster.add_node(**NODE)
    execution = {"executor": "ray", "address": cluster.address, "workers": 2, "devices": "cpu"}
    training = {**LONG["training"], "meta_iterations": 100_000}
    sections: dict[str, Any] = {"training": training, "stop": {"trials": 3}}
    said = hpo("launch", "--detach", str(hpo.replace(**sections, execution=execution)))
    assert "2 Ray workers (1 thread each) have been asked for" in said
    assert "hpo status small" in said
    wait_until(lambda: len(training_in(hpo.storage)) == 2, timeout=60)

    config = str(hpo.replace(**sections, execution={**execution, "workers": 1}))
    launch = hpo.start("launch", config)
    wait_until(lambda: len(everywhere(cluster)) == 1, timeout=60)
    launch.send_signal(signal.SIGINT)
    assert launch.communicate(timeout=30)[0].splitlines()[-1].startswith("stopped; nothing is lost")
    assert launch.returncode == 130
    assert everywhere(cluster) == []
    assert {row["state"] for row in trials(hpo)} == {"WAITING"}
