"""Which trials a runner trains together, and what it tells of those that fail."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from hpo.config import TrialConfig
from hpo.config.study import SHAPELESS
from hpo.errors import OutOfMemory
from hpo.meta import schedule
from hpo.meta.runner import Inbox
from hpo.meta.schedule import LetGo, Row, TrialEvents, train_all
from hpo.protocol import Stop, Train, to_line
from hpo.records import Estimate, Outcome, Report, TrialOutcome, TrialSpec

Make = Callable[..., TrialConfig]
OK = TrialOutcome(outcome=Outcome.OK, objective=Estimate(mean=0.5, sem=0.1), meta_iterations=6)
Ended = Callable[[int, TrialOutcome | LetGo], None]


@dataclass
class Told:
    """Events that are only remembered."""

    wish: Literal["prune", "stop"] | None = None
    reports: list[Report] = field(default_factory=list)
    result: TrialOutcome | LetGo | None = None
    meta_iterations: int = 0

    def report(self, report: Report) -> None:
        self.reports.append(report)
        self.meta_iterations = report.meta_iteration

    def checkpointed(self, meta_iteration: int, path: Path) -> None: ...

    def interruption(self) -> Literal["prune", "stop"] | None:
        return self.wish

    def ended(self, result: TrialOutcome | LetGo) -> None:
        assert self.result is None
        self.result = result


def spec(number: int, config: TrialConfig) -> TrialSpec:
    return TrialSpec(trial_id=number, number=number, config=config.to_dict(), device="cpu", threads=1)


def train(*configs: TrialConfig, wishes: dict[int, Literal["prune", "stop"]] | None = None) -> list[Told]:
    told = [Told((wishes or {}).get(i)) for i in range(len(configs))]
    train_all([Row(spec(i, config), events) for i, (config, events) in enumerate(zip(configs, told, strict=True))])
    return told


def outcomes(told: list[Told]) -> list[Outcome | LetGo | None]:
    return [one.result.outcome if isinstance(one.result, TrialOutcome) else one.result for one in told]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The trials of each training, fused or alone."""
    trained: list[list[int]] = []
    together, alone = schedule.meta_train_together, schedule.meta_train

    def spy_together(specs: Sequence[TrialSpec], events: Sequence[TrialEvents], ended: Ended) -> None:
        trained.append([spec.number for spec in specs])
        together(specs, events, ended)

    def spy_alone(spec: TrialSpec, events: TrialEvents) -> Any:
        trained.append([spec.number])
        return alone(spec, events)

    monkeypatch.setattr(schedule, "meta_train_together", spy_together)
    monkeypatch.setattr(schedule, "meta_train", spy_alone)
    return trained


def sinusoid(make: Make, **changes: Any) -> TrialConfig:
    return make("sinusoid", tasks__window=4, **changes)


def test_trials_of_equal_shapes_are_one_program(trial_config: Make, programs: list[list[int]]) -> None:
    configs = [
        sinusoid(trial_config, learner__inner_lr=0.01),
        sinusoid(trial_config, model__hidden_size=4),
        sinusoid(trial_config, learner__inner_lr=0.02, training__outer_lr=0.01),
        sinusoid(trial_config, model__cell="rnn"),
    ]
    told = train(*configs)
    assert programs == [[0, 2], [1], [3]]
    assert outcomes(told) == [Outcome.OK] * 4
    alone = train(configs[2])[0]
    for one, other in zip(told[2].reports, alone.reports, strict=True):
        assert one.objective.mean == pytest.approx(other.objective.mean, rel=1e-4)


def test_the_config_knows_what_a_program_may_differ_in(trial_config: Make) -> None:
    changes = {
        "objective.inner_steps": "best",
        "learner.inner_lr": 0.01,
        "learner.inner_steps": 3,
        "training.outer_lr": 0.01,
        "training.clip_norm": 1.0,
        "training.seed": 7,
        "model.hidden_size": 4,
        "model.cell": "rnn",
        "learner.order": "first",
        "training.meta_batch": 2,
        "tasks.shots": 3,
    }
    base = schedule.program(trial_config())
    equal = {path for path, value in changes.items() if schedule.program(changed(trial_config, path, value)) == base}
    assert equal == SHAPELESS


def changed(make: Make, path: str, value: Any) -> TrialConfig:
    return make(**{path.replace(".", "__"): value})


def test_one_that_diverges_or_is_pruned_leaves_alone(trial_config: Make, programs: list[list[int]]) -> None:
    configs = [sinusoid(trial_config, learner__inner_steps=5, learner__inner_lr=lr) for lr in (0.01, 100.0, 0.02)]
    told = train(*configs, wishes={2: "prune"})
    assert programs == [[0, 1, 2]]
    assert outcomes(told) == [Outcome.OK, Outcome.DIVERGED, Outcome.PRUNED]


def test_what_waits_for_its_turn_is_let_go_without_being_begun(trial_config: Make, programs: list[list[int]]) -> None:
    configs = [sinusoid(trial_config, model__hidden_size=size) for size in (3, 4, 4)]
    told = train(*configs, wishes={1: "stop", 2: "stop"})
    assert programs == [[0]]
    assert outcomes(told) == [Outcome.OK, LetGo(0), LetGo(0)]


def test_a_config_that_is_none_fails_alone(trial_config: Make) -> None:
    told = [Told(), Told()]
    broken = spec(0, sinusoid(trial_config)).model_copy(update={"config": {"tasks": {}}})
    train_all([Row(broken, told[0]), Row(spec(1, sinusoid(trial_config)), told[1])])
    assert outcomes(told) == [Outcome.ERROR, Outcome.OK]


def needing(memory: int, trained: list[int]) -> Callable[..., None]:
    """A training that ends its first row and then needs more than ``memory`` rows may take."""

    def together(specs: Sequence[TrialSpec], events: Sequence[TrialEvents], ended: Ended) -> None:
        trained.append(len(specs))
        ended(0, OK)
        if len(specs) > memory:
            raise OutOfMemory("CUDA out of memory")
        for i in range(1, len(specs)):
            ended(i, OK)

    return together


def test_out_of_memory_is_tried_again_in_halves(
    trial_config: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trained: list[int] = []
    monkeypatch.setattr(schedule, "meta_train_together", needing(2, trained))
    monkeypatch.setattr(schedule, "meta_train", lambda spec, events: trained.append(1) or OK)
    assert outcomes(train(*[sinusoid(trial_config)] * 8)) == [Outcome.OK] * 8
    assert trained == [8, 4, 2, 1, 3, 1, 1]
    assert "out of memory with 8 trials in one program: the 7 left are halved" in caplog.text


def test_what_does_not_fit_alone_is_out_of_memory(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise OutOfMemory("CUDA out of memory")

    monkeypatch.setattr(schedule, "meta_train_together", fails)
    monkeypatch.setattr(schedule, "meta_train", fails)
    assert outcomes(train(*[sinusoid(trial_config)] * 3)) == [Outcome.OUT_OF_MEMORY] * 3


def test_a_bug_is_the_failure_of_all_that_have_not_ended(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(specs: Sequence[TrialSpec], events: Sequence[TrialEvents], ended: Ended) -> None:
        ended(1, OK)
        raise IndexError("row 7")

    monkeypatch.setattr(schedule, "meta_train_together", buggy)
    told = train(*[sinusoid(trial_config)] * 3)
    assert outcomes(told) == [Outcome.ERROR, Outcome.OK, Outcome.ERROR]
    assert isinstance(told[0].result, TrialOutcome)
    assert "IndexError: row 7 (test_schedule.py:" in str(told[0].result.reason)


def test_specs_that_belong_together_are_waited_for(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [spec(number, sinusoid(trial_config)) for number in range(3)]
    ended = threading.Event()
    monkeypatch.setattr("hpo.meta.runner.os._exit", lambda code: ended.set())
    lines = [Train(spec=specs[0]), Train(spec=specs[1], together=2), Stop(trial_id=2), Train(spec=specs[2], together=2)]
    inbox = Inbox(io.StringIO("".join(map(to_line, [*lines, Stop(trial_id=1)]))))
    assert ended.wait(5)
    assert inbox.next_specs() == specs[:1]
    assert inbox.next_specs() == specs[1:]
    assert [inbox.interruption(number) for number in range(3)] == [None, "stop", None]
