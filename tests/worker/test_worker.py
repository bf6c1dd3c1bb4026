"""The worker's loop on a real database, with trainings that only record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo import study
from hpo.config import InvalidConfig, StudyConfig
from hpo.launch import create_or_resume
from hpo.records import Estimate, Outcome, TrialOutcome
from hpo.results import queries
from hpo.results.engine import Database, connect
from hpo.worker import Slot, Worker, loop
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
