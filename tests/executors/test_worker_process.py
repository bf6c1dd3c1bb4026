from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpo.executors import local, worker_process
from hpo.executors.devices import SlotPlan
from hpo.executors.local import LocalExecutor
from hpo.executors.worker_process import MAX_RESTARTS, WorkerPlan, WorkerProcess, WorkersFailed
from tests.end_to_end.support import wait_until


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Instead of hpo's command: a program that the test writes."""
    program = tmp_path / "program.sh"
    run = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        assert command[:3] == [sys.executable, "-m", "hpo.cli.main"]
        return run(["/bin/sh", str(program), *command[3:]], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(worker_process.subprocess, "Popen", start)
    return program


def plan(folder: Path) -> WorkerPlan:
    environment = {"HPO_STORAGE": "postgresql://me:secret@db/hpo"}
    return WorkerPlan("q", "cpu", 2, folder / "logs" / "w.log", environment=environment)


def test_what_it_is_told(pretended: Path, tmp_path: Path) -> None:
    pretended.write_text('echo "$@" "$HPO_STORAGE"')
    worker = WorkerProcess(plan(tmp_path))
    worker.start()
    wait_until(lambda: worker.finished)
    worker.tend()
    assert (tmp_path / "logs/w.log").read_text() == (
        "worker --study q --device cpu --threads 2 postgresql://me:secret@db/hpo\n"
    )
    assert "secret" not in repr(plan(tmp_path))
    assert WorkerPlan("q", None, 1).arguments == ["worker", "--study", "q", "--threads", "1"]


def test_one_that_dies_is_started_again_a_few_times(pretended: Path, tmp_path: Path) -> None:
    pretended.write_text("echo no such device; exit 3")
    executor = LocalExecutor("q", "sqlite:///x.db", [SlotPlan("cpu", 1)], tmp_path)
    executor.start()

    def tend() -> None:
        while True:
            executor.tend()
            time.sleep(0.01)

    with pytest.raises(
        WorkersFailed, match=r"the worker exited with code 3 6 times; the end of .*worker-0.log:\nno such"
    ):
        tend()
    assert (tmp_path / "worker-0.log").read_text().splitlines() == ["no such device"] * (MAX_RESTARTS + 1)
    assert executor.alive == 0


@pytest.mark.parametrize(("program", "code"), [("exec sleep 60", -15), ("trap '' TERM; sleep 60 & wait; sleep 60", -9)])
def test_it_is_asked_to_stop_and_then_made_to(
    program: str, code: int, pretended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "STOP_GRACE_S", 0.5)
    pretended.write_text(f"echo up; {program}")
    executor = LocalExecutor("q", "sqlite:///x.db", [SlotPlan("cpu", 1)], tmp_path)
    executor.start()
    wait_until(lambda: (tmp_path / "worker-0.log").read_text() == "up\n")
    executor.stop()
    assert executor.alive == 0
    process = executor._workers[0]._process
    assert process is not None
    assert process.returncode == code


def test_it_ends_with_who_has_started_it(tmp_path: Path, sqlite_url: str) -> None:
    """A real worker, and a parent that is killed."""
    parent = (
        "import time; from pathlib import Path; from hpo.executors.worker_process import WorkerPlan, WorkerProcess\n"
        "worker = WorkerProcess(WorkerPlan('q', 'cpu', 1, Path('w.log')), with_parent=True)\n"
        "worker._plan.__class__.arguments = property(lambda plan: ['worker', '--forever', '--device', 'cpu'])\n"
        "worker.start(); print(worker._process.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HPO_STORAGE": sqlite_url},
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    log = tmp_path / "w.log"
    wait_until(lambda: log.exists() and "on cpu" in log.read_text())
    process.kill()
    process.communicate()
    wait_until(lambda: "ends: stopped" in log.read_text(), timeout=15)
    wait_until(lambda: not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_bytes())
