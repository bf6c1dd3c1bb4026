"""The worker's loop on a real database, with trainings that only record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo import study
from hpo.config import InvalidConfig, StudyConfig
from hpo.launch import create_or_resume
from hpo.records import Estimate, Outcome, TrialOutcome
from hpo.results import queries, store
from hpo.results.engine import Database, connect
from hpo.worker import Slot, Worker, loop, memory_guard
from tests.end_to_end.support import CONFIG


class NoRunner:
    def __init__(self, slot: Slot) -> None: ...

    def start(self) -> None: ...

    def close(self) -> None: ...

    def kill(self) -> None: ...


class Recording:
    """Instead of a training: every trial is ok."""

    def __init__(self, running: study.Study, lease: study.Lease, *_: Any) -> None:
        self.study, self.lease = running, lease

    def run(self) -> None:
        shown = queries.workers(self.study.database)
        assert [(worker.study, worker.number) for worker in shown] == [(self.study.name, self.lease.number)]
        outcome = TrialOutcome(outcome=Outcome.OK, objective=Estimate(mean=float(self.lease.number), sem=0.1))
        self.study.finish(self.lease, outcome)


@pytest.fixture
def database(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(loop, "RunnerProcess", NoRunner)
    monkeypatch.setattr(loop, "Training", Recording)
    with connect(storage_url, create=True) as opened:
        yield opened


def make(database: Database, **sections: Any) -> study.Study:
    raw = {**CONFIG, "sampler": {"kind": "random"}, "stop": {"trials": 2}, **sections}
    return create_or_resume(StudyConfig.from_dict(raw), database)


def status(database: Database, name: str) -> str:
    return queries.study(database, name).status


def test_it_serves_every_study_and_leaves_no_trace(database: Database, tmp_path: Path) -> None:
    make(database, name="one")
    make(database, name="two")
    Worker(database, Slot("cpu", 1), tmp_path).run()
    assert (status(database, "one"), status(database, "two")) == ("done", "done")
    assert queries.workers(database) == []


FAMILY = "from hpo.meta.tasks import Sinusoid\nfrom hpo.config.tasks import SinusoidConfig\n" + (
    "class Here(Sinusoid):\n    class Config(SinusoidConfig):\n        kind: str\n"
)


def test_a_study_whose_tasks_are_elsewhere_does_not_end_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_there.py").write_text(FAMILY)
    monkeypatch.syspath_prepend(str(tmp_path))
    make(database, name="elsewhere", tasks={"kind": "only_there:Here"})
    make(database, name="here")
    (tmp_path / "only_there.py").unlink()
    monkeypatch.delitem(__import__("sys").modules, "only_there")
    __import__("importlib").invalidate_caches()
    with pytest.raises(InvalidConfig, match="only_there"):
        Worker(database, Slot("cpu", 1), tmp_path, "elsewhere").run()
    Worker(database, Slot("cpu", 1), tmp_path).run()
    assert (status(database, "elsewhere"), status(database, "here")) == ("running", "done")


def test_a_study_whose_file_is_elsewhere_does_not_end_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(database, name="elsewhere", tasks={"kind": "series", "file": "only_there.csv"})
    make(database, name="here")
    with pytest.raises(InvalidConfig, match=r"tasks\.file: there is no .*only_there\.csv"):
        Worker(database, Slot("cpu", 1), tmp_path, "elsewhere").run()
    Worker(database, Slot("cpu", 1), tmp_path).run()
    assert (status(database, "elsewhere"), status(database, "here")) == ("running", "done")
    assert queries.study_trials(database, "elsewhere") == []


def test_a_budget_raised_meanwhile_counts(database: Database) -> None:
    running = make(database, stop={"trials": 1})
    lease = running.lease_trial("a", "host", "cpu")
    assert lease is not None
    make(database, stop={"trials": 3})
    running.finish(lease, TrialOutcome(outcome=Outcome.OK, objective=Estimate(mean=1.0, sem=0.1)))
    assert status(database, "small") == "running"
    assert running.lease_trial("a", "host", "cpu") is None  # it has an old config: to be opened again


def test_one_that_stays_waits_for_studies(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "IDLE_S", 0.0)
    worker = Worker(database, Slot("cpu", 1), tmp_path, forever=True)
    looks = iter([lambda: None, lambda: make(database, name="late"), lambda: None, lambda: None])
    runnable = worker._runnable

    def look() -> list[study.Study]:
        if (happens := next(looks, None)) is None:
            worker._stop.asked = True
            return []
        happens()
        return runnable()

    monkeypatch.setattr(worker, "_runnable", look)
    worker.run()
    assert status(database, "late") == "done"
    assert queries.workers(database) == []


def test_what_the_device_has_no_room_for_is_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As out_of_memory, which a sampler takes for a region that fails."""
    monkeypatch.setattr(memory_guard, "free_bytes", lambda slot: 100_000_000)
    make(database, name="large")
    Worker(database, Slot("cpu", 1), tmp_path).run()
    rows = queries.study_trials(database, "large")
    assert [row.outcome for row in rows] == [Outcome.OUT_OF_MEMORY] * 2
    assert rows[0].reason is not None
    assert rows[0].reason.startswith("not begun: it would take some 0.")
    assert rows[0].reason.endswith("GB by its shapes, cpu has 0.1 GB free")
    assert status(database, "large") == "done"


def test_beside_others_on_the_device_it_waits_for_room(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is let go, at no cost of an attempt, until the neighbour is done."""
    running = make(database, name="large")
    theirs = running.lease_trial("neighbour", "host", "cpu")
    assert theirs is not None
    store.heartbeat(database, "neighbour", host="host", pid=1, device="cpu", trial_id=theirs.trial_id)
    looks = iter(range(3))

    def free(slot: Slot) -> int:
        if next(looks) == 2:
            running.finish(theirs, TrialOutcome(outcome=Outcome.ERROR, reason="of itself"))
            store.remove_worker(database, "neighbour")
            return 10**12
        return 0

    monkeypatch.setattr(memory_guard, "free_bytes", free)
    monkeypatch.setattr(loop, "IDLE_S", 0.0)
    Worker(database, Slot("cpu", 1, host="host"), tmp_path).run()
    assert [row.outcome for row in queries.study_trials(database, "large")] == [Outcome.ERROR, Outcome.OK]


def test_measured_peaks_correct_what_is_predicted(database: Database) -> None:
    running = make(database, stop={"trials": 9})
    lease = running.lease_trial("w", "host", "cpu")
    assert lease is not None
    before = memory_guard.needed_bytes(running, lease, "cpu")
    ended = TrialOutcome(outcome=Outcome.DIVERGED, reason="nan", peak_memory_bytes=before // 2)
    running.finish(lease, ended)
    again = running.lease_trial("w", "host", "cpu")
    assert again is not None
    assert memory_guard.needed_bytes(running, again, "cpu") == pytest.approx(before // 2, rel=0.1)
    assert (
        memory_guard.needed_bytes(running, again, "cuda:0") < before
    )  # no trial has run on a GPU: by its shapes alone


@pytest.mark.parametrize(
    ("answer", "expected"), [("echo 8000", 8000 * 2**20), ("echo '[N/A]'", None), ("exit 9", None)]
)
def test_free_memory_of_a_gpu(
    answer: str, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{answer}\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-abc,GPU-def")
    assert memory_guard.free_bytes(Slot("cuda:1", 1)) == expected
    assert "--id=GPU-def" in (tmp_path / "asked").read_text()


def test_free_memory_of_the_machine() -> None:
    free = memory_guard.free_bytes(Slot("cpu", 1))
    assert free is not None
    assert free > 10_000_000
