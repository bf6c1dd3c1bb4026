from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learner_cases import CASES, Case
from toy_tasks import Prevailing

from hpo.config import TrialConfig
from hpo.errors import Diverged, InputError, OutOfMemory
from hpo.meta.checkpoint import FILE_NAME, kept, load, save
from hpo.meta.loop import Stopped, Trained, meta_train, train
from hpo.meta.tasks import Split
from hpo.meta.trial import Trial
from hpo.records import Outcome, Report, TrialOutcome, TrialSpec

Make = Callable[..., TrialConfig]


class Recorder:
    """Events that remember, and interrupt before the given meta-iteration."""

    def __init__(self, how: Literal["prune", "stop"] = "stop", before: int | None = None) -> None:
        self.reports: list[Report] = []
        self.checkpoints: list[tuple[int, Path]] = []
        self.how: Literal["prune", "stop"] = how
        self.before = before
        self.asked = 0

    def report(self, report: Report) -> None:
        self.reports.append(report)

    def checkpointed(self, meta_iteration: int, path: Path) -> None:
        self.checkpoints.append((meta_iteration, path))

    def interruption(self) -> Literal["prune", "stop"] | None:
        self.asked += 1
        return self.how if self.asked == self.before else None


def run(config: TrialConfig, events: Recorder | None = None, directory: Path | None = None) -> Trained | Stopped:
    return train(config, "cpu", directory, events or Recorder())


def finished(config: TrialConfig, events: Recorder | None = None, directory: Path | None = None) -> Trained:
    ended = run(config, events, directory)
    assert isinstance(ended, Trained)
    return ended


def numbers(ended: Trained) -> tuple[object, ...]:
    """All that has to be the same in a repetition."""
    outcome = ended.outcome
    return outcome.outcome, outcome.objective, outcome.meta_iterations, outcome.curves


def same_tensors(a: Trained, b: Trained) -> bool:
    return all(torch.equal(a.meta[name], b.meta[name]) for name in a.meta)


def test_reports_and_checkpoints_at_rungs_and_at_the_end(trial_config: Make, tmp_path: Path) -> None:
    events = Recorder()
    config = trial_config(training__meta_iterations=5, training__eval_every=2)
    spec = TrialSpec(
        trial_id=3, number=1, config=config.to_dict(), device="cpu", threads=1, checkpoint_dir=str(tmp_path)
    )
    outcome = meta_train(spec, events)
    assert isinstance(outcome, TrialOutcome)
    assert outcome.outcome is Outcome.OK
    assert [report.meta_iteration for report in events.reports] == [2, 4, 5]
    assert events.checkpoints == [(2, tmp_path / FILE_NAME), (4, tmp_path / FILE_NAME), (5, tmp_path / FILE_NAME)]
    assert outcome.objective == events.reports[-1].objective
    assert outcome.meta_iterations == 5
    assert 0 < events.reports[0].seconds < events.reports[-1].seconds < outcome.seconds
    assert outcome.peak_memory_bytes > 2**20
    assert outcome.meta_parameters == sum(tensor.numel() for tensor in finished(config).meta.values())


@pytest.mark.parametrize(("eval_steps", "last"), [(None, 4), (2, 2), (3, 3)])
def test_the_final_curve_goes_to_eval_steps_and_holds_the_objective(
    trial_config: Make, eval_steps: int | None, last: int
) -> None:
    config = trial_config(training__eval_steps=eval_steps, learner__inner_steps=2)
    outcome = finished(config).outcome
    (curve,) = outcome.curves
    assert [point.inner_step for point in curve.points] == list(range(last + 1))
    assert (curve.split, curve.tasks) == ("validation", config.training.eval_tasks)
    assert curve.at(2).loss == outcome.objective


def test_the_objective_can_be_the_accuracy(trial_config: Make) -> None:
    config = trial_config(objective__metric="query_accuracy", objective__direction="maximize")
    outcome = finished(config).outcome
    assert outcome.objective == outcome.curves[0].at(2).accuracy


def test_accuracy_of_a_regression_is_refused_before_training(trial_config: Make) -> None:
    config = trial_config("toy_tasks:Lines", objective__metric="query_accuracy", objective__direction="maximize")
    with pytest.raises(InputError, match=r"objective\.metric: found query_accuracy"):
        run(config)


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize(("kind", "factor"), [("toy_tasks:Prevailing", 0.7), ("sinusoid", 0.75)])
def test_meta_training_lowers_the_objective(trial_config: Make, kind: str, factor: float, order: str) -> None:
    config = trial_config(
        kind,
        tasks__shots=5,
        tasks__queries=5,
        model__hidden_size=16,
        learner__inner_lr=0.3 if kind != "sinusoid" else 0.05,
        learner__order=order,
        training__outer_lr=0.02,
        training__meta_batch=8,
        training__meta_iterations=60,
        training__eval_every=60,
        training__eval_tasks=50,
    )
    outcome = finished(config).outcome
    untrained = finished(
        TrialConfig.from_dict(
            config.to_dict() | {"training": {"meta_iterations": 1, "outer_lr": 1e-9, "eval_tasks": 50}}
        )
    )
    assert outcome.objective is not None
    assert untrained.outcome.objective is not None
    assert outcome.objective.mean < factor * untrained.outcome.objective.mean
    assert outcome.curves[0].at(2).loss.mean < outcome.curves[0].at(0).loss.mean


def test_the_same_config_gives_the_same_numbers(trial_config: Make) -> None:
    first, second = finished(trial_config()), finished(trial_config())
    other = finished(trial_config(training__seed=1))
    assert numbers(first) == numbers(second)
    assert same_tensors(first, second)
    assert numbers(first) != numbers(other)


def test_validation_tasks_do_not_depend_on_the_seed_and_training_tasks_do(trial_config: Make) -> None:
    a, b = (Trial.of(trial_config(training__seed=seed), torch.device("cpu")) for seed in (0, 1))
    fixed = [trial.fixed_tasks(Split.VALIDATION, 4).query.inputs for trial in (a, b)]
    assert torch.equal(*fixed)
    assert not torch.equal(a.fixed_tasks(Split.TEST, 4).query.inputs, fixed[0])
    assert torch.equal(a.meta_batch(3).query.inputs, a.meta_batch(3).query.inputs)
    assert not torch.equal(a.meta_batch(3).query.inputs, a.meta_batch(4).query.inputs)
    assert not torch.equal(a.meta_batch(3).query.inputs, b.meta_batch(3).query.inputs)


@pytest.mark.parametrize("kind", sorted({case.options["kind"] for case in CASES}))
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@settings(max_examples=2, deadline=None)
@given(data=st.data(), stops=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_stopped_anywhere_and_resumed_it_equals_an_uninterrupted_run(
    trial_config: Make,
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    cell: str,
    data: st.DataObject,
    stops: list[int],
) -> None:
    case: Case = data.draw(st.sampled_from([case for case in CASES if case.options["kind"] == kind]))
    raw = trial_config(case.family, model__cell=cell).to_dict() | {"learner": case.options}
    config = TrialConfig.from_dict(raw)
    directory = tmp_path_factory.mktemp("trial")
    straight, whole = Recorder(), Recorder()
    expected = finished(config, straight)
    seconds = 0.0
    for before in stops:
        whole.before, whole.asked = before, 0
        ended = run(config, whole, directory)
        if isinstance(ended, Trained):
            break
        state, _ = load(directory / FILE_NAME)
        assert whole.checkpoints[-1][0] == state.meta_iteration == ended.meta_iteration
        assert state.seconds > seconds
        seconds = state.seconds
    whole.before = None
    ended = finished(config, whole, directory)
    assert ended.outcome.seconds > seconds
    assert numbers(ended) == numbers(expected)
    assert same_tensors(ended, expected)
    # those of earlier attempts are sent again, for a worker that died before it recorded them
    told = {(r.meta_iteration, r.objective.mean, r.objective.sem) for r in whole.reports}
    assert sorted(told) == [(r.meta_iteration, r.objective.mean, r.objective.sem) for r in straight.reports]


def test_killed_between_checkpoints_it_repeats_from_the_last_one(trial_config: Make, tmp_path: Path) -> None:
    class Killed(Recorder):
        def interruption(self) -> None:
            self.asked += 1
            if self.asked == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(trial_config(), Killed(), tmp_path)
    again = Recorder()
    ended = finished(trial_config(), again, tmp_path)
    assert [report.meta_iteration for report in again.reports] == [2, 4, 6]
    assert numbers(ended) == numbers(finished(trial_config()))


def test_resumed_after_its_end_it_gives_the_same_outcome(trial_config: Make, tmp_path: Path) -> None:
    before, again = Recorder(), Recorder()
    first = finished(trial_config(), before, tmp_path)
    second = finished(trial_config(), again, tmp_path)
    assert numbers(second) == numbers(first)
    assert (again.asked, again.reports) == (0, before.reports)


def test_pruned_it_ends_with_the_last_objective(trial_config: Make) -> None:
    events = Recorder("prune", before=4)
    outcome = finished(trial_config(), events).outcome
    assert (outcome.outcome, outcome.meta_iterations, outcome.curves) == (Outcome.PRUNED, 3, ())
    assert outcome.objective == events.reports[0].objective


def test_pruned_before_the_first_rung_there_is_no_objective(trial_config: Make) -> None:
    outcome = finished(trial_config(), Recorder("prune", before=1)).outcome
    assert (outcome.outcome, outcome.objective, outcome.meta_iterations) == (Outcome.PRUNED, None, 0)


def test_stopped_without_a_directory_it_leaves_nothing(trial_config: Make) -> None:
    events = Recorder("stop", before=3)
    ended = run(trial_config(), events)
    assert isinstance(ended, Stopped)
    assert (ended.meta_iteration, events.checkpoints) == (2, [])


def test_a_loss_that_is_not_finite_is_divergence(trial_config: Make) -> None:
    config = trial_config(
        "toy_tasks:Lines",
        model__cell="rnn",
        model__nonlinearity="relu",
        learner__inner_lr=100.0,
        learner__inner_steps=20,
    )
    with pytest.raises(Diverged, match=r"^meta-iteration 1: the query loss of the meta-training tasks is (nan|inf)"):
        run(config)


def test_a_meta_gradient_that_is_not_finite_is_divergence(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.meta.outer.Outer.step", lambda *_: float("inf"))
    with pytest.raises(Diverged, match=r"^meta-iteration 1: the norm of the meta-gradient is inf"):
        run(trial_config())


def test_a_validation_loss_that_is_not_finite_is_divergence(trial_config: Make) -> None:
    config = trial_config(
        "toy_tasks:Lines", model__cell="rnn", model__nonlinearity="relu", training__outer_lr=10.0,
        training__eval_every=1, training__meta_iterations=60, learner__inner_steps=10, learner__inner_lr=0.01,
    )  # fmt: skip
    with pytest.raises(Diverged, match=r"^meta-iteration \d+: the .* is (nan|inf)"):
        run(config)


def test_after_two_damaged_checkpoints_training_starts_from_zero(
    trial_config: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(trial_config(), Recorder("stop", before=4), tmp_path)
    for path in kept(tmp_path):
        path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        ended = finished(trial_config(), None, tmp_path)
    assert "training starts from zero" in caplog.text
    assert numbers(ended) == numbers(finished(trial_config()))


def test_a_damaged_checkpoint_is_said_and_training_goes_on_from_the_one_before(
    trial_config: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(trial_config(), Recorder("stop", before=4), tmp_path)
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-1])
    events = Recorder()
    with caplog.at_level(logging.WARNING):
        ended = finished(trial_config(), events, tmp_path)
    assert "training starts from zero" not in caplog.text
    assert "goes on from the checkpoint before, at meta-iteration 2" in caplog.text
    assert events.asked == 4  # of six meta-iterations two were done
    assert [report.meta_iteration for report in events.reports] == [2, 4, 6]
    assert numbers(ended) == numbers(finished(trial_config()))
    assert load(path)[0].meta_iteration == 6


def test_a_checkpoint_of_another_config_is_said_and_not_used(
    trial_config: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(trial_config(training__seed=1), Recorder("stop", before=4), tmp_path)
    with caplog.at_level(logging.WARNING):
        ended = finished(trial_config(), None, tmp_path)
    assert "made with another config" in caplog.text
    assert numbers(ended) == numbers(finished(trial_config()))


def test_a_checkpoint_from_before_a_field_was_there_is_used(trial_config: Make, tmp_path: Path) -> None:
    run(trial_config(), Recorder("stop", before=4), tmp_path)
    state, tensors = load(tmp_path / FILE_NAME)
    objective = {key: value for key, value in state.config["objective"].items() if key != "inner_steps"}
    older = state.model_copy(update={"config": {**state.config, "objective": objective}})
    save(tmp_path / FILE_NAME, older, tensors)
    events = Recorder()
    ended = finished(trial_config(), events, tmp_path)
    assert events.asked == 3  # of six meta-iterations three were done
    assert numbers(ended) == numbers(finished(trial_config()))


def test_running_out_of_memory_is_named(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object) -> None:
        torch.empty(2**55)

    monkeypatch.setattr(Prevailing, "sample", greedy)
    with pytest.raises(OutOfMemory, match="allocate"):
        run(trial_config())


def test_training_does_not_import_torchs_compiler(trial_config: Make) -> None:
    script = (
        "import sys; from unittest.mock import Mock;"
        "from hpo.config import TrialConfig; from hpo.meta.loop import train;"
        "train(TrialConfig.from_dict(eval(sys.argv[1])), 'cpu', None, Mock(interruption=lambda: None));"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    config = trial_config("sinusoid").to_dict()
    subprocess.run([sys.executable, "-c", script, repr(config)], check=True)
