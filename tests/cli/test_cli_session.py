"""A launch while it runs and what it ends with, with workers that are only pretended."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from hpo.cli import launch, session
from hpo.cli.interrupt import Interrupt
from hpo.cli.progress import EndedTrial, Progress
from hpo.cli.session import Session
from hpo.earlier_trials import Source
from hpo.errors import StorageUnreachable
from hpo.executors import local
from hpo.executors.local import WorkersFailed
from hpo.records import Estimate, Outcome
from hpo.results import queries
from hpo.results.engine import Database
from hpo.study import Study
from tests.cli.conftest import Run, as_json

NOW = Progress("lab [bold]", "running", "minimize", 6)


class FakeExecutor:
    """Workers that do nothing; ``tends`` is what each call of tend does."""

    waiting = 0

    def __init__(self, *tends: Any) -> None:
        self.alive = 0
        self.stopped = False
        self._tends = list(tends)

    def start(self) -> None:
        self.alive = 1

    def tend(self) -> None:
        if self._tends and (action := self._tends.pop(0)) is not None:
            action()

    def stop(self) -> None:
        self.stopped = True
        self.alive = 0


class FakeWatch:
    """One look after the other; the last one again and again."""

    def __init__(self, *looks: Progress | Exception) -> None:
        self.looks = list(looks)

    def look(self) -> Progress:
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, Exception):
            raise found
        return found


class FakeDisplay:
    def __init__(self) -> None:
        self.shown: list[Progress] = []
        self.said: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to take down."""

    def update(self, now: Progress) -> None:
        self.shown.append(now)

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(session, "LISTEN_S", 0.01)


def run_session(study: Study, executor: FakeExecutor, watch: FakeWatch) -> tuple[Progress, FakeDisplay, bool]:
    shown = FakeDisplay()
    with Interrupt() as interrupt:
        last = Session(study, executor, watch, shown, interrupt).run()
    return last, shown, interrupt.asked


@pytest.mark.parametrize("status", ["done", "paused", "stopped"])
def test_it_ends_when_the_study_does(status: str, study: Study) -> None:
    executor = FakeExecutor()
    last, shown, asked = run_session(study, executor, FakeWatch(NOW, NOW, replace(NOW, status=status)))
    assert last.status == status
    assert len(shown.shown) == 3
    assert executor.stopped
    assert not asked


def test_it_ends_when_no_worker_is_left(study: Study) -> None:
    executor = FakeExecutor()
    executor._tends = [None, lambda: setattr(executor, "alive", 0)]
    last, shown, _ = run_session(study, executor, FakeWatch(NOW))
    assert last.status == "running"
    assert len(shown.shown) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_first_signal_lets_the_workers_checkpoint(number: signal.Signals, study: Study) -> None:
    executor = FakeExecutor(None, lambda: os.kill(os.getpid(), number))
    _, shown, asked = run_session(study, executor, FakeWatch(NOW))
    assert asked
    assert executor.stopped
    assert shown.said[0].startswith("stopping: the running trials are being checkpointed")


def test_a_second_signal_ends_at_once(study: Study) -> None:
    executor = FakeExecutor(lambda: os.kill(os.getpid(), signal.SIGINT))
    stopping = executor.stop

    def stop() -> None:
        stopping()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    executor.stop = stop  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_session(study, executor, FakeWatch(NOW))
    assert time.monotonic() - began < 5


def test_signals_are_what_they_were_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_workers_that_keep_dying_end_it_with_an_error(study: Study) -> None:
    def fail() -> None:
        raise WorkersFailed("the workers died 6 times")

    executor = FakeExecutor(None, fail)
    with pytest.raises(WorkersFailed):
        run_session(study, executor, FakeWatch(NOW))
    assert executor.stopped


def test_an_outage_of_the_database_is_waited_out(study: Study) -> None:
    watch = FakeWatch(NOW, StorageUnreachable("gone"), replace(NOW, status="done"))
    last, _, _ = run_session(study, FakeExecutor(), watch)
    assert last.status == "done"


@pytest.mark.parametrize(("is_done", "status"), [(True, "done"), (False, "running")])
def test_a_study_whose_last_worker_died_before_marking_it_is_marked_unless_its_budget_was_raised(
    is_done: bool, status: str, study: Study, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "DONE_GRACE_S", 0.0)
    monkeypatch.setattr(Study, "is_done", lambda self: is_done)
    trial = EndedTrial(0, Outcome.OK, Estimate(mean=1.0, sem=0.1), 1.0)
    complete = replace(NOW, total=1, ended=(trial,))
    run_session(
        study, FakeExecutor(), FakeWatch(complete, complete, complete, complete, replace(complete, status="done"))
    )
    assert queries.study(database, study.name).status == status


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt.asked
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


class OneWorker(FakeExecutor):
    """Ends the study instead of training, with every trial ok."""

    def __init__(self, study: str, url: str, slots: list[Any], folder: Path) -> None:
        super().__init__()
        self.name = study
        assert slots
        assert folder.parts[-1] == "logs"

    def tend(self) -> None:
        from hpo.records import TrialOutcome
        from hpo.results.engine import connect
        from hpo.study import Study

        with connect("sqlite:///hpo.db") as database:
            study = Study.of(database, queries.study(database, self.name))
            while (lease := study.lease_trial("w", "host", "cpu")) is not None:
                objective = Estimate(mean=1.0 + lease.number, sem=0.1)
                study.finish(lease, TrialOutcome(outcome=Outcome.OK, objective=objective, seconds=2.0))


def test_a_launch_from_nothing_to_its_summary(run: Run, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LocalExecutor", OneWorker)
    result = run("launch", str(write()), "--trials", "3")
    assert "best config: trial 0, 1.00 ± 0.10" in result.stdout
    lines = result.stderr.splitlines()
    assert lines[0].startswith("study lab [bold]: 3 trials on cpu (")
    assert lines[0].endswith("results in sqlite:///hpo.db")
    assert lines[1] == "going on: 3 of 3 trials have ended before (best 1.00 ± 0.10, trial 0)"

    again = run("launch", "study.yaml", "--trials", "3", "--json")
    assert "is done: all its 3 trials have ended; raise stop.trials" in again.stderr
    summary = as_json(again)
    assert summary["status"] == "done"
    assert summary["trials"] == {"asked_for": 3, "ended": 3, "ok": 3, "pruned": 0, "failed": 0}
    assert summary["best"]["number"] == summary["luckiest"]["number"] == 0

    more = run("launch", "study.yaml", "--trials", "4")  # a difference that a study can take
    assert "4 of 4 trials ended" in more.stdout


def test_a_launch_says_what_it_learns_from() -> None:
    none_left, some = Source("old", (), {}), Source("old\x1b", (), {"model.cell": 2, "learner.inner_lr": 1})
    assert launch._warm_start(none_left) == "warm start from old: 0 of its 0 trials are data of this study"
    assert launch._warm_start(some) == (
        "warm start from old\\x1b: 0 of its 3 trials are data of this study; "
        "the others lie outside of its search space: 2 by model.cell, 1 by learner.inner_lr"
    )


def test_workers_that_wait_for_a_place_are_said_once(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SETTLED_S", 0.0)
    executor = FakeExecutor()
    executor._tends = [
        *[None] * 2,
        lambda: (setattr(executor, "alive", 3), setattr(executor, "waiting", 2)),
        *[None] * 2,
        lambda: setattr(executor, "waiting", 0),
        lambda: setattr(executor, "alive", 0),
    ]
    _, shown, _ = run_session(study, executor, FakeWatch(NOW))
    assert shown.said == ["1 of 3 workers run; 2 wait until there is room in the cluster", "3 of 3 workers run"]
