"""One trial between a scripted runner and a study that only remembers."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpo.errors import LeaseLost
from hpo.protocol import Event, Finished, Prune, Ready, Reported, Stop, Stopped, Train
from hpo.records import Estimate, Outcome, Record, Report, TrialOutcome, TrialSpec
from hpo.study import Lease
from hpo.worker import training
from hpo.worker.runner_process import RunnerDied
from hpo.worker.stop_request import StopRequest
from hpo.worker.training import Training

OK = TrialOutcome(outcome=Outcome.OK, objective=Estimate(mean=0.5, sem=0.1), meta_iterations=10)
REPORT = Report(meta_iteration=5, objective=Estimate(mean=0.7, sem=0.1), seconds=1.0)


class ScriptedRunner:
    def __init__(self, events: Iterable[Event | Exception | None]) -> None:
        self.events = list(events)
        self.sent: list[Record] = []
        self.was_killed = False

    def start(self) -> None: ...

    def send(self, command: Record) -> None:
        self.sent.append(command)

    def receive(self, timeout_s: float) -> Event | None:
        if not self.events:
            return None
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event

    def kill(self) -> None:
        self.was_killed = True


class MemoryStudy:
    def __init__(
        self, prune: bool = False, running: bool = True, max_attempts: int = 3, timeout_s: float | None = None
    ) -> None:
        self.config = SimpleNamespace(execution=SimpleNamespace(max_attempts=max_attempts, trial_timeout_s=timeout_s))
        self.reports: list[Report] = []
        self.outcomes: list[TrialOutcome] = []
        self.released = 0
        self._prune = prune
        self._running = running

    def report(self, lease: Lease, report: Report) -> bool:
        self.reports.append(report)
        return self._prune

    def finish(self, lease: Lease, outcome: TrialOutcome) -> None:
        self.outcomes.append(outcome)

    def release(self, lease: Lease, *, interrupted: bool) -> None:
        self.released += 1
        self.interrupted = interrupted

    def is_running(self) -> bool:
        return self._running

    def prepare(self) -> None: ...


def train(
    study: MemoryStudy,
    runner: ScriptedRunner,
    *,
    attempts: int = 1,
    lost: bool = False,
    stop: bool = False,
    checkpoint_dir: str | None = None,
) -> None:
    lease = Lease(trial_id=7, number=3, token=1, attempts=attempts, config=None)  # type: ignore[arg-type]
    request = StopRequest()
    request.asked = stop
    spec = TrialSpec(trial_id=7, number=3, config={}, device="cpu", threads=1, checkpoint_dir=checkpoint_dir)
    pieces: Any = (study, lease, spec, runner, SimpleNamespace(lost=lost), request)
    Training(*pieces).run()


def test_reports_and_the_result_reach_the_study() -> None:
    study = MemoryStudy()
    runner = ScriptedRunner([Ready(), None, Reported(trial_id=7, report=REPORT), Finished(trial_id=7, outcome=OK)])
    train(study, runner)
    assert study.reports == [REPORT]
    assert study.outcomes == [OK]
    assert [type(sent) for sent in runner.sent] == [Train]


def test_the_pruners_decision_reaches_the_runner() -> None:
    study = MemoryStudy(prune=True)
    pruned = TrialOutcome(outcome=Outcome.PRUNED, objective=REPORT.objective, meta_iterations=6)
    runner = ScriptedRunner([Reported(trial_id=7, report=REPORT), Finished(trial_id=7, outcome=pruned)])
    train(study, runner)
    assert runner.sent[1:] == [Prune(trial_id=7)]
    assert study.outcomes == [pruned]


def test_a_late_event_of_another_trial_is_passed_over() -> None:
    study = MemoryStudy()
    runner = ScriptedRunner(
        [Reported(trial_id=6, report=REPORT), Finished(trial_id=6, outcome=OK), Finished(trial_id=7, outcome=OK)]
    )
    train(study, runner)
    assert study.reports == []
    assert study.outcomes == [OK]


def test_a_signal_lets_the_trial_go_after_its_checkpoint() -> None:
    study = MemoryStudy()
    runner = ScriptedRunner([None, Stopped(trial_id=7, meta_iteration=4)])
    train(study, runner, stop=True)
    assert runner.sent[1:] == [Stop(trial_id=7)]
    assert (study.released, study.outcomes) == (1, [])


def test_a_trial_that_ends_while_being_stopped_keeps_its_result() -> None:
    study = MemoryStudy()
    train(study, ScriptedRunner([Finished(trial_id=7, outcome=OK)]), stop=True)
    assert (study.released, study.outcomes) == (0, [OK])


def test_a_runner_that_does_not_let_go_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_GRACE_S", 0.0)
    study, runner = MemoryStudy(), ScriptedRunner([])
    train(study, runner, stop=True)
    assert runner.was_killed
    assert study.released == 1


def test_a_paused_study_lets_its_trials_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "STATUS_EVERY_S", 0.0)
    study, runner = MemoryStudy(running=False), ScriptedRunner([Stopped(trial_id=7, meta_iteration=4)])
    train(study, runner)
    assert runner.sent[1:] == [Stop(trial_id=7)]
    assert study.released == 1


def test_a_dead_runner_costs_an_attempt() -> None:
    study = MemoryStudy()
    train(study, ScriptedRunner([RunnerDied("ended by SIGKILL")]), attempts=2)
    assert (study.released, study.outcomes) == (1, [])


def test_after_the_last_attempt_the_trial_is_lost() -> None:
    study = MemoryStudy()
    train(study, ScriptedRunner([RunnerDied("ended by SIGKILL")]), attempts=3)
    assert study.released == 0
    assert [outcome.outcome for outcome in study.outcomes] == [Outcome.LOST]
    assert study.outcomes[0].reason == "given up after 3 attempts: ended by SIGKILL"


def test_a_lost_lease_ends_the_training_without_a_word_to_the_study() -> None:
    study = MemoryStudy()
    with pytest.raises(LeaseLost):
        train(study, ScriptedRunner([Finished(trial_id=7, outcome=OK)]), lost=True)
    assert (study.released, study.outcomes) == (0, [])


@pytest.mark.parametrize(("outcome", "kept"), [(OK, True), (TrialOutcome(outcome=Outcome.PRUNED), False)])
def test_only_a_trial_trained_to_its_end_keeps_its_checkpoint(
    tmp_path: Path, outcome: TrialOutcome, kept: bool
) -> None:
    folder = tmp_path / "trial-7"
    folder.mkdir()
    train(MemoryStudy(), ScriptedRunner([Finished(trial_id=7, outcome=outcome)]), checkpoint_dir=str(folder))
    assert folder.exists() is kept


PRUNED = TrialOutcome(outcome=Outcome.PRUNED, objective=REPORT.objective, meta_iterations=5, seconds=9.0)


def test_a_trial_that_takes_too_long_is_ended_as_timeout() -> None:
    """The pruner's command ends it; what it has measured is kept."""
    study = MemoryStudy(timeout_s=8.0)
    late = REPORT.model_copy(update={"seconds": 8.5})  # of an earlier attempt, that is
    runner = ScriptedRunner([Reported(trial_id=7, report=late), None, Finished(trial_id=7, outcome=PRUNED)])
    train(study, runner)
    assert runner.sent[1:] == [Prune(trial_id=7)]
    (outcome,) = study.outcomes
    assert (outcome.outcome, outcome.objective, outcome.seconds) == (Outcome.TIMEOUT, PRUNED.objective, 9.0)
    assert outcome.reason == "trained for longer than 8 s, its execution.trial_timeout_s"
    assert not runner.was_killed


def test_a_trial_that_ends_while_it_is_overdue_keeps_its_result() -> None:
    study = MemoryStudy(timeout_s=1e-9)
    train(study, ScriptedRunner([None, Finished(trial_id=7, outcome=OK)]))
    assert study.outcomes == [OK]


def test_a_runner_that_does_not_end_an_overdue_trial_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_GRACE_S", 0.0)
    study, runner = MemoryStudy(timeout_s=1e-9), ScriptedRunner([None])
    train(study, runner)
    assert runner.was_killed
    assert [outcome.outcome for outcome in study.outcomes] == [Outcome.TIMEOUT]


def test_a_runner_that_dies_of_an_overdue_trial_costs_no_further_attempt() -> None:
    study = MemoryStudy(timeout_s=1e-9)
    train(study, ScriptedRunner([None, RunnerDied("the runner was ended by SIGKILL")]))
    assert [outcome.outcome for outcome in study.outcomes] == [Outcome.TIMEOUT]
