"""``hpo train``: the statistics against simulation, and real trainings of tiny networks."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.cli import comparison, seeds
from hpo.cli.seeds import SeedPool, SeedRun, processes_for, with_seeds
from hpo.cli.train import ConfigScores, Scores, as_text
from hpo.config import load_study_config
from hpo.meta.seed_process import SeedFailure, SeedResult
from hpo.records import Outcome, Report
from tests.cli.conftest import RAW, Run, as_json

Write = Callable[..., Path]


def draw(
    rng: np.random.Generator, of_seeds: float, of_tasks: float, residual: float, shape: tuple[int, int]
) -> np.ndarray:
    seeds, tasks = shape
    by_seed, by_task = rng.normal(0, of_seeds, (seeds, 1)), rng.normal(0, of_tasks, (1, tasks))
    return by_seed + by_task + rng.normal(0, residual, shape)


@pytest.mark.parametrize("spread", [(0.3, 0.1, 0.1), (0.0, 1.0, 0.1), (0.1, 0.1, 1.0)])
def test_the_standard_error_is_what_repetition_shows(spread: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(0)
    found = [comparison.overall(draw(rng, *spread, (5, 40))) for _ in range(3000)]
    spread_of_means = np.var([one.mean for one in found])
    claimed = np.mean([one.sem**2 for one in found])
    surplus = spread[2] ** 2 / (5 * 40)  # the residual is counted twice
    assert claimed == pytest.approx(spread_of_means + surplus, rel=0.1)


def test_a_difference_is_paired_by_task() -> None:
    rng = np.random.default_rng(1)
    differences, errors = [], []
    for _ in range(3000):
        hard = rng.normal(0, 5.0, (1, 40))  # how hard a task is for both
        first, second = (hard + draw(rng, 0.2, 0.1, 0.1, (shape, 40)) for shape in (3, 4))
        found = comparison.difference(first, second)
        differences.append(found.mean)
        errors.append(found.sem**2)
    assert np.mean(errors) == pytest.approx(np.var(differences), rel=0.1)
    assert np.mean(differences) == pytest.approx(0.0, abs=0.02)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_laws_of_the_difference(s_a: int, s_b: int, tasks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(s_a, tasks)), rng.normal(size=(s_b, tasks))
    there, back = comparison.difference(a, b), comparison.difference(b, a)
    assert there.mean == pytest.approx(-back.mean)
    assert there.sem == pytest.approx(back.sem)
    assert there.mean == pytest.approx(a.mean() - b.mean())
    shifted = comparison.difference(a + 3.0, b + 3.0)
    assert (shifted.mean, shifted.sem) == pytest.approx((there.mean, there.sem))


def test_one_seed_leaves_the_error_over_tasks() -> None:
    values = np.array([[1.0, 2.0, 4.0]])
    assert comparison.overall(values) == comparison.over_tasks(values[0])
    assert comparison.over_tasks(values[0]).sem == pytest.approx(values.std(ddof=1) / np.sqrt(3))


def scored(label: str, loss: np.ndarray, accuracy: np.ndarray | None) -> ConfigScores:
    return ConfigScores(label, (0, 1, 2), Scores(loss, accuracy, (3, 3, 3)), {})


def test_the_verdict_needs_two_standard_errors() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.0, 0.01, (3, 20)), rng.normal(1.0, 0.01, (3, 20))
    clear = as_text([scored("a.yaml", a, -a), scored("b.yaml", b, -b)])
    assert clear.count("the first is better") == 2  # a lower loss, a higher accuracy
    close = as_text([scored("a.yaml", a, None), scored("b.yaml", a[::-1], None)])
    assert "no clear difference" in close
    assert "accuracy" not in close


def test_seeds_count_up_from_the_configs_own(write: Write, folder: Path) -> None:
    config = load_study_config(write(training={**RAW["training"], "seed": 5})).trial_config({})
    runs = with_seeds("x", config, 3)
    assert [run.seed for run in runs] == [5, 6, 7]
    assert {run.config.model for run in runs} == {config.model}


@pytest.mark.parametrize(
    ("device", "runs", "cores", "expected"),
    [("cpu", 3, 2, (2, 1)), ("cpu", 1, 8, (1, 8)), ("cpu", 3, 8, (3, 2)), ("cuda:0", 3, 8, (1, 8))],
)
def test_how_many_at_a_time(
    device: str, runs: int, cores: int, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "cores", lambda: cores)
    assert processes_for(device, runs) == expected


@pytest.fixture
def runs(write: Write) -> list[SeedRun]:
    return with_seeds("study.yaml", load_study_config(write()).trial_config({}), 3)


def pretend(monkeypatch: pytest.MonkeyPatch, code: str) -> list[subprocess.Popen[str]]:
    """Children that run ``code`` instead of training."""
    started: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[str]:
        child = real([sys.executable, "-c", code], **options)  # type: ignore[call-overload]
        started.append(child)
        return child  # type: ignore[no-any-return]

    monkeypatch.setattr(seeds.subprocess, "Popen", start)
    return started


ANSWER = """
import json, sys
seed = json.loads(sys.stdin.readline())["config"]["training"]["seed"]
print(json.dumps({"meta_iteration": 2, "objective": {"mean": 1.0, "sem": 0.1}, "seconds": 0.5}))
def scores(offset, steps):
    return {"loss": [offset + seed, offset + seed + 1.0], "accuracy": None, "steps": steps}
print(json.dumps({
    "adapted": scores(0, 1), "unadapted": scores(5, 0), "from_scratch": scores(3, 10 + seed), "seconds": 1.0
}))
"""


def test_results_come_in_the_order_of_the_runs(runs: list[SeedRun], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ANSWER)
    reports: list[tuple[int, Report]] = []
    pool = SeedPool("cpu", 1, 2, lambda run, report: reports.append((run.seed, report)))
    results = pool.train(runs)
    assert [result.adapted.loss for result in results if isinstance(result, SeedResult)] == [(0, 1), (1, 2), (2, 3)]
    assert sorted(seed for seed, _ in reports) == [0, 1, 2]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            "its process was ended by SIGKILL (by hand, or by the system when memory ran out)",
        ),
        ("raise SystemExit(3)", "its process exited with code 3"),
    ],
)
def test_a_child_that_dies_is_a_failure_with_a_reason(
    code: str, expected: str, runs: list[SeedRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, code)
    (result,) = SeedPool("cpu", 1, 1, lambda run, report: None).train(runs[:1])
    assert isinstance(result, SeedFailure)
    assert result.outcome is Outcome.LOST
    assert expected in result.reason


def test_an_interruption_ends_every_child(runs: list[SeedRun], monkeypatch: pytest.MonkeyPatch) -> None:
    started = pretend(monkeypatch, "import time; time.sleep(30)")

    class Interrupted:
        def result(self) -> object:
            while len(started) < 2:
                time.sleep(0.01)
            raise KeyboardInterrupt

    submit, calls = seeds.ThreadPoolExecutor.submit, iter(range(3))
    monkeypatch.setattr(
        seeds.ThreadPoolExecutor,
        "submit",
        lambda *arguments: submit(*arguments) if next(calls) > 0 else Interrupted(),
    )
    with pytest.raises(KeyboardInterrupt):
        SeedPool("cpu", 1, 2, lambda run, report: None).train(runs)
    assert [child.wait() for child in started] == [-signal.SIGKILL] * 2


def test_one_config(run: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ANSWER)
    result = run("train", str(write()), "--seeds", "2", "--device", "cpu")
    assert result.stdout.splitlines() == [
        "query set of 2 meta-test tasks after adaptation, ± standard error",
        "config                    seed  inner steps  loss",
        "study.yaml                   0            1  0.50 ± 0.50",
        "study.yaml                   1            1  1.50 ± 0.50",
        "study.yaml                mean               1.00 ± 0.71",
        "study.yaml  without adaptation            0  6.00 ± 0.71",
        "study.yaml        from scratch        10-11  4.00 ± 0.71",
        "from scratch: the same network, trained on each support set alone by so many steps of Adam",
    ]
    assert "study.yaml seed 1: 2/4  query_loss 1.00 ± 0.10 on the validation tasks" in result.stderr
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["study.yaml"]


def test_a_seed_without_a_result_is_an_error(run: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, """print('{"outcome": "diverged", "reason": "the loss is nan"}')""")
    result = run("train", str(write()), "--seeds", "2", "--device", "cpu", code=1)
    assert "2 of 2 trainings gave no result" in result.stderr
    assert "study.yaml seed 0: diverged: the loss is nan" in result.stderr
    assert result.stdout == ""


def test_two_configs_compared_for_real(run: Run, write: Write) -> None:
    first = write("a.yaml")
    second = write("b.yaml", model={"cell": "lstm", "hidden_size": 3})
    found = as_json(run("train", str(first), str(second), "--seeds", "1", "--device", "cpu", "--json"))
    a, b = (config["loss"]["mean"] for config in found["configs"])
    assert found["difference"]["loss"]["mean"] == pytest.approx(a - b)
    assert [config["config"] for config in found["configs"]] == ["a.yaml", "b.yaml"]
    assert [config["seeds"][0]["inner_steps"] for config in found["configs"]] == [1, 1]
    assert "accuracy" not in found["difference"]  # a regression
