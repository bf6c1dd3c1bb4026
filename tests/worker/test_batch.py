"""Several trials between one scripted runner and a study that only remembers."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from hpo.errors import LeaseLost
from hpo.protocol import Event, Finished, Prune, Ready, Reported, Stop, Stopped, Train
from hpo.records import Estimate, Outcome, Report, TrialOutcome, TrialSpec
from hpo.study import Lease
from hpo.worker import training
from hpo.worker.batch import Batch
from hpo.worker.lease_keeper import Hold, renew_each
from hpo.worker.runner_process import RunnerDied, RunnerUnusable
from hpo.worker.stop_request import StopRequest
from hpo.worker.training import Training
from tests.worker.test_training import OK, REPORT, ScriptedRunner

KILLED = RunnerDied("the runner was ended by SIGKILL")


class MemoryStudy:
    """``pruned``: numbers of trials that the pruner ends; ``taken``: of those that another worker has."""

    def __init__(
        self,
        pruned: Iterable[int] = (),
        taken: Iterable[int] = (),
        running: bool = True,
        timeout_s: float | None = None,
    ) -> None:
        self.config = SimpleNamespace(execution=SimpleNamespace(max_attempts=3, trial_timeout_s=timeout_s))
        self.said: list[tuple[int, object]] = []
        self.released: dict[int, bool] = {}
        self._pruned, self._taken, self._running = set(pruned), set(taken), running

    def report(self, lease: Lease, report: Report) -> bool:
        if lease.number in self._taken:
            raise LeaseLost
        self.said.append((lease.number, report.meta_iteration))
        return lease.number in self._pruned

    def finish(self, lease: Lease, outcome: TrialOutcome) -> None:
        self.said.append((lease.number, outcome.outcome.value))

    def release(self, lease: Lease, *, interrupted: bool) -> None:
        self.released[lease.number] = interrupted

    def is_running(self) -> bool:
        return self._running


def run(
    study: MemoryStudy,
    events: Iterable[Event | Exception | None],
    attempts: tuple[int, ...] = (1, 1, 1),
    lost: tuple[int, ...] = (),
    stop: bool = False,
) -> ScriptedRunner:
    """Trials 0, 1, ... have the ids 10, 11, ..."""
    runner, request = ScriptedRunner(events), StopRequest()
    request.asked = stop
    trainings = []
    for number, made in enumerate(attempts):
        lease = Lease(trial_id=10 + number, number=number, token=1, attempts=made, config=None)  # type: ignore[arg-type]
        spec = TrialSpec(trial_id=10 + number, number=number, config={}, device="cpu", threads=1)
        pieces: Any = (study, lease, spec, runner, Hold(lease, lost=number in lost), request)
        trainings.append(Training(*pieces))
    shared: Any = runner
    Batch(trainings, shared).run()
    return runner


def report(number: int, meta_iteration: int) -> Reported:
    return Reported(trial_id=10 + number, report=REPORT.model_copy(update={"meta_iteration": meta_iteration}))


def ended(number: int, outcome: TrialOutcome = OK) -> Finished:
    return Finished(trial_id=10 + number, outcome=outcome)


def test_each_trial_hears_its_own_in_the_order_in_which_it_is_said() -> None:
    study = MemoryStudy()
    events = [Ready(), report(1, 5), None, report(0, 5), report(2, 5), ended(2), report(1, 9), ended(0), ended(1)]
    runner = run(study, events)
    assert study.said == [(1, 5), (0, 5), (2, 5), (2, "ok"), (1, 9), (0, "ok"), (1, "ok")]
    assert [(sent.spec.number, sent.together) for sent in runner.sent if isinstance(sent, Train)] == [
        (0, 3),
        (1, 3),
        (2, 3),
    ]


def test_a_pruned_one_does_not_disturb_the_others() -> None:
    study = MemoryStudy(pruned=[1])
    pruned = TrialOutcome(outcome=Outcome.PRUNED, objective=Estimate(mean=1.0, sem=0.1))
    runner = run(study, [report(0, 5), report(1, 5), report(2, 5), ended(1, pruned), ended(0), ended(2)])
    assert runner.sent[3:] == [Prune(trial_id=11)]
    assert study.said[3:] == [(1, "pruned"), (0, "ok"), (2, "ok")]


def test_a_dead_runner_costs_each_trial_that_has_not_ended_an_attempt() -> None:
    study = MemoryStudy()
    run(study, [ended(0), KILLED], attempts=(1, 2, 3))
    assert study.said == [(0, "ok"), (2, "lost")]
    assert study.released == {1: False}


def test_a_runner_that_cannot_start_is_no_trials_fault() -> None:
    study = MemoryStudy()
    with pytest.raises(RunnerUnusable):
        run(study, [RunnerUnusable("no GPU")])
    assert study.released == {0: True, 1: True, 2: True}


def test_a_signal_lets_all_of_them_go() -> None:
    study = MemoryStudy()
    runner = run(
        study, [Stopped(trial_id=12, meta_iteration=0), ended(0), Stopped(trial_id=11, meta_iteration=3)], stop=True
    )
    assert runner.sent[3:] == [Stop(trial_id=10), Stop(trial_id=11), Stop(trial_id=12)]
    assert study.said == [(0, "ok")]
    assert study.released == {1: True, 2: True}


def test_a_paused_study_lets_all_of_them_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "STATUS_EVERY_S", 0.0)
    study = MemoryStudy(running=False)
    run(study, [Stopped(trial_id=10 + number, meta_iteration=3) for number in range(3)])
    assert study.released == {0: True, 1: True, 2: True}


def test_a_runner_that_does_not_let_go_is_ended_and_no_attempt_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_GRACE_S", 0.05)
    monkeypatch.setattr(training, "STATUS_EVERY_S", 0.0)
    study = MemoryStudy(running=False)
    runner = run(study, [*[None] * 100_000, KILLED])
    assert runner.was_killed
    assert study.released == {0: True, 1: True, 2: True}


@pytest.mark.parametrize("noticed_by", ["the keeper", "a write"])
def test_one_that_was_taken_over_is_left_alone(noticed_by: str) -> None:
    by_keeper = noticed_by == "the keeper"
    study = MemoryStudy(taken=[] if by_keeper else [1])
    gone = ended(1, TrialOutcome(outcome=Outcome.PRUNED))
    events = [report(0, 5), report(1, 5), report(2, 5), gone, ended(0), ended(2)]
    runner = run(study, events, lost=(1,) if by_keeper else ())
    assert study.said == [(0, 5), (2, 5), (0, "ok"), (2, "ok")]
    assert runner.sent[3:] == [Prune(trial_id=11)]
    assert not runner.was_killed


def test_a_runner_that_is_still_at_a_trial_of_another_worker_is_ended() -> None:
    study = MemoryStudy()
    runner = run(study, [ended(0), ended(2)], lost=(1,))
    assert runner.was_killed
    assert study.said == [(0, "ok"), (2, "ok")]


def test_a_lease_that_is_lost_does_not_keep_the_others_from_being_renewed() -> None:
    holds = [Hold(Lease(trial_id=i, number=i, token=1, attempts=1, config=None)) for i in range(3)]  # type: ignore[arg-type]
    renewed: list[int] = []

    def renew(lease: Lease) -> None:
        renewed.append(lease.number)
        if lease.number == 1:
            raise LeaseLost

    renew_each(holds, renew)
    renew_each(holds, renew)
    assert renewed == [0, 1, 2, 0, 2]
    assert [hold.lost for hold in holds] == [False, True, False]


def test_an_overdue_trial_that_does_not_end_costs_the_others_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_GRACE_S", 0.0)
    study = MemoryStudy(timeout_s=3.0)  # of three trials: nine seconds
    late = REPORT.model_copy(update={"seconds": 9.5})
    runner = run(study, [Reported(trial_id=11, report=late), None, KILLED])
    assert (1, "timeout") in study.said
    assert runner.was_killed
    assert study.released == {0: True, 2: True}
