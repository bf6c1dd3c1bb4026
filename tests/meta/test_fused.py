from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from toy_tasks import Prevailing

from hpo.config import TrialConfig
from hpo.errors import OutOfMemory
from hpo.meta.checkpoint import FILE_NAME, load
from hpo.meta.fused import meta_train_together, program
from hpo.meta.loop import Stopped, meta_train
from hpo.records import Outcome, Report, TrialOutcome, TrialSpec

Make = Callable[..., TrialConfig]
CELLS = [("rnn", "tanh"), ("rnn", "relu"), ("gru", "tanh"), ("lstm", "tanh")]
OWN: list[dict[str, Any]] = [
    {"learner__inner_lr": 0.1, "training__seed": 0, "training__outer_lr": 0.001},
    {"learner__inner_lr": 0.05, "learner__inner_steps": 3, "training__seed": 5, "training__outer_lr": 0.002},
    {"learner__inner_lr": 0.2, "learner__inner_steps": 1, "training__seed": 7, "training__clip_norm": 0.5},
]


class Recorder:
    """Events that remember, and interrupt at a meta-iteration."""

    def __init__(self, how: Literal["prune", "stop"] | None = None, after: int = 0) -> None:
        self.reports: list[Report] = []
        self.checkpoints: list[int] = []
        self._how: Literal["prune", "stop"] | None = how
        self._left = after

    def report(self, report: Report) -> None:
        self.reports.append(report)

    def checkpointed(self, meta_iteration: int, path: Path) -> None:
        self.checkpoints.append(meta_iteration)

    def interruption(self) -> Literal["prune", "stop"] | None:
        self._left -= 1
        return self._how if self._left < 0 else None


def specs_of(configs: Sequence[TrialConfig], directory: Path | None = None) -> list[TrialSpec]:
    return [
        TrialSpec(
            trial_id=i,
            number=i,
            config=config.to_dict(),
            device="cpu",
            threads=1,
            checkpoint_dir=None if directory is None else str(directory / str(i)),
        )
        for i, config in enumerate(configs)
    ]


def together(specs: Sequence[TrialSpec], events: Sequence[Recorder]) -> dict[int, TrialOutcome | Stopped]:
    results: dict[int, TrialOutcome | Stopped] = {}

    def ended(row: int, result: TrialOutcome | Stopped) -> None:
        assert row not in results, "a row ends once"
        results[row] = result

    meta_train_together(specs, events, ended)
    return results


def objectives(outcome: TrialOutcome | Stopped) -> list[float]:
    assert isinstance(outcome, TrialOutcome)
    assert outcome.objective is not None
    return [outcome.objective.mean, *(point.loss.mean for curve in outcome.curves for point in curve.points)]


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_rows_equal_trials_trained_alone_after_100_meta_iterations(
    trial_config: Make, tmp_path: Path, cell: str, nonlinearity: str, order: str
) -> None:
    shared = {"model__cell": cell, "model__nonlinearity": nonlinearity, "learner__order": order}
    shared |= {"training__meta_iterations": 100, "training__eval_every": 50}
    specs = specs_of([trial_config(**shared, **own) for own in OWN], tmp_path / "together")
    fused, events = together(specs, recorders := [Recorder() for _ in specs]), recorders
    for i, spec in enumerate(specs_of([trial_config(**shared, **own) for own in OWN], tmp_path / "alone")):
        alone = meta_train(spec, single := Recorder())
        assert objectives(fused[i]) == pytest.approx(objectives(alone), rel=1e-5, abs=1e-5)
        assert [report.meta_iteration for report in events[i].reports] == [50, 100]
        found = [report.objective.mean for report in events[i].reports]
        assert found == pytest.approx([report.objective.mean for report in single.reports], rel=1e-5, abs=1e-5)
        for name, tensor in meta_of(tmp_path / "alone" / str(i)).items():
            torch.testing.assert_close(meta_of(tmp_path / "together" / str(i))[name], tensor, rtol=1e-5, atol=1e-5)


def meta_of(directory: Path) -> dict[str, torch.Tensor]:
    _, tensors = load(directory / FILE_NAME)
    return {name: tensor for name, tensor in tensors.items() if name.startswith("meta.")}


def test_rows_leave_one_by_one_and_the_others_go_on(trial_config: Make) -> None:
    configs = [trial_config(**own) for own in OWN]
    events = [Recorder(), Recorder("prune", after=3), Recorder("stop", after=1)]
    found = together(specs_of(configs), events)
    assert isinstance(found[1], TrialOutcome)
    assert (found[1].outcome, found[1].meta_iterations) == (Outcome.PRUNED, 3)
    assert found[2] == Stopped(1)
    alone = meta_train(specs_of(configs)[0], Recorder())
    assert objectives(found[0]) == pytest.approx(objectives(alone), rel=1e-5)


def test_a_row_that_diverges_takes_no_other_with_it(trial_config: Make) -> None:
    configs = [trial_config(**OWN[0]), trial_config("toy_tasks:Prevailing", **OWN[1])]
    wild = trial_config(**{**OWN[2], "learner__inner_lr": 100.0, "training__outer_lr": 10.0})
    lines = [trial_config("toy_tasks:Lines", **OWN[0])]
    lines.append(trial_config("toy_tasks:Lines", learner__inner_lr=100.0, learner__inner_steps=5, training__outer_lr=1))
    found = together(specs_of(lines), [Recorder(), Recorder()])
    assert isinstance(found[1], TrialOutcome)
    assert found[1].outcome is Outcome.DIVERGED
    assert found[1].reason is not None
    assert "expected a finite number" in found[1].reason
    assert objectives(found[0]) == pytest.approx(objectives(meta_train(specs_of(lines)[0], Recorder())), rel=1e-5)
    assert program(wild) == program(configs[0])


def test_each_row_has_its_own_number_of_test_time_steps(trial_config: Make) -> None:
    wanted = ["best", 5, "trained"]
    own = {"training__eval_tasks": 20, "training__eval_steps": 6}
    configs = [trial_config(**own, **row, objective__inner_steps=n) for row, n in zip(OWN, wanted, strict=True)]
    assert len({program(config) for config in configs}) == 1
    found = together(specs_of(configs), [Recorder() for _ in configs])
    alone = [meta_train(spec, Recorder()) for spec in specs_of(configs)]
    for i, one in enumerate(alone):
        assert objectives(found[i]) == pytest.approx(objectives(one), rel=1e-5)
    numbers = [one.inner_steps for one in found.values() if isinstance(one, TrialOutcome)]
    assert numbers == [one.inner_steps for one in alone if isinstance(one, TrialOutcome)]
    assert numbers[0] is not None
    assert numbers[1:] == [5, None]


def test_rows_resume_from_their_own_checkpoints(trial_config: Make, tmp_path: Path) -> None:
    configs = [trial_config(**own) for own in OWN]
    specs = specs_of(configs, tmp_path)
    stopped = together(specs, [Recorder("stop", after=after) for after in (1, 3, 5)])
    assert stopped == {0: Stopped(1), 1: Stopped(3), 2: Stopped(5)}
    resumed, whole = (
        together(specs, [Recorder() for _ in specs]),
        together(specs_of(configs), [Recorder() for _ in specs]),
    )
    for i in range(len(specs)):
        assert objectives(resumed[i]) == pytest.approx(objectives(whole[i]), rel=1e-5)


def test_memory_that_runs_out_ends_no_row(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def sample(*_: object) -> None:
        raise MemoryError

    specs = specs_of([trial_config(**own) for own in OWN])
    monkeypatch.setattr(Prevailing, "sample", sample)
    with pytest.raises(OutOfMemory):
        meta_train_together(specs, [Recorder() for _ in specs], lambda *_: pytest.fail("no row has ended"))


def test_only_rates_steps_clipping_and_seeds_may_differ(trial_config: Make) -> None:
    base = program(trial_config())
    assert all(program(trial_config(**own)) == base for own in OWN)
    others: list[dict[str, Any]] = [
        {"model__hidden_size": 6},
        {"model__cell": "gru"},
        {"learner__order": "first"},
        {"training__meta_batch": 4},
        {"training__meta_iterations": 7},
        {"tasks__shots": 3},
    ]
    assert all(program(trial_config(**other)) != base for other in others)
