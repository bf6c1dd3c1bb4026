"""A study from the command line to the database, and what it survives."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from typing import Any

import psutil
import pytest

from tests.end_to_end.support import Hpo, wait_until

LONG = {"training": {"meta_iterations": 1200, "eval_every": 60, "eval_tasks": 8, "meta_batch": 2}}


def trials(hpo: Hpo) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(
        hpo("query", "select * from hpo_trials order by number", "--format", "json")
    )
    return rows


def runners(root: int) -> list[psutil.Process]:
    """The processes below ``root`` that train."""
    below = psutil.Process(root).children(recursive=True)
    return [process for process in below if "hpo.meta.runner" in process.cmdline()]


def reports(hpo: Hpo) -> int:
    """How many rungs have been reported so far."""
    if not (hpo.folder / "hpo.db").exists():
        return 0
    done = hpo.try_run("query", "select count(*) as n from hpo_curves", "--format", "json")
    return int(json.loads(done)[0]["n"]) if done else 0


def test_a_study_from_launch_to_export(hpo: Hpo) -> None:
    summary = hpo("launch", str(hpo.write()))
    assert "small" in summary
    rows = trials(hpo)
    assert [row["outcome"] for row in rows] == ["ok"] * 5
    assert {row["gradients"] for row in rows} <= {"accelerated", "recurrences"}
    assert all(set(json.loads(row["parameters"])) >= {"learner.inner_lr", "model.cell"} for row in rows)

    best = json.loads(hpo("best", "small", "--format", "json"))
    assert best[0]["rank"] == 1
    assert "small" in hpo("studies")
    assert "5" in hpo("status", "small")
    assert "gru" in hpo("show", "small", "0") or "cell" in hpo("show", "small", "0")

    hpo("export", "small", "-o", "best.yaml")
    trained = json.loads(hpo("train", "best.yaml", "--seeds", "1", "--json"))
    assert trained

    again = hpo("launch", str(hpo.folder / "study.yaml"))
    assert "small" in again
    assert len(trials(hpo)) == 5


def test_a_changed_study_keeps_its_trials(hpo: Hpo) -> None:
    """Wider bounds, a new choice, a new dimension: all trials are in the model, the old ones with what they had."""
    rate = {"type": "float", "low": 0.01, "high": 0.1, "log": True}
    cell = {"type": "categorical", "choices": ["gru", "rnn"]}
    hpo("launch", str(hpo.replace(search={"learner.inner_lr": rate, "model.cell": cell}, stop={"trials": 4})))
    before = [json.loads(row["parameters"]) for row in trials(hpo)]

    outside = {"model.hidden_size": {"type": "int", "low": 5, "high": 6}}
    search = {"learner.inner_lr": {**rate, "low": 0.001, "high": 0.5}, "model.cell": {**cell}}
    search["model.cell"]["choices"] = ["lstm", "rnn", "gru"]
    hpo("launch", str(hpo.replace(search={**search, **outside}, stop={"trials": 6})), code=2)
    assert [json.loads(row["parameters"]) for row in trials(hpo)] == before

    hidden = {"model.hidden_size": {"type": "int", "low": 2, "high": 6}}
    hpo("launch", str(hpo.replace(search={**search, **hidden}, stop={"trials": 6})))
    rows = trials(hpo)
    assert [row["outcome"] for row in rows] == ["ok"] * 6
    assert all(row["posterior_mean"] is not None for row in rows)
    after = [json.loads(row["parameters"]) for row in rows]
    assert after[:4] == [{**old, "model.hidden_size": 4} for old in before]
    ranked = json.loads(hpo("best", "small", "--format", "json"))
    assert all(row["parameters"].keys() == {*search, *hidden} for row in ranked)
    assert "hidden_size=4" in hpo("show", "small", "0")


def test_a_study_learns_from_another(hpo_on_postgres: Hpo) -> None:
    """Every worker that joins, and a launch without the option, uses the same sources."""
    hpo = hpo_on_postgres
    search = {"learner.inner_lr": {"type": "float", "low": 0.01, "high": 0.5, "log": True}}
    hpo("launch", str(hpo.replace(name="old", search=search, stop={"trials": 5})))
    (best, *_) = json.loads(hpo("best", "old", "--format", "json"))
    wider = {**search, "model.hidden_size": {"type": "int", "low": 2, "high": 6}}
    new = {"name": "new", "search": wider, "sampler": {"startup_trials": 8}, "pruner": {"kind": "none"}}
    launched = hpo.start("launch", str(hpo.replace(**new, stop={"trials": 3})), "--warm-start", "old")
    said, _ = launched.communicate(timeout=100)
    assert "warm start from old: 5 of its 5 trials are data of this study" in said
    first = json.loads(hpo("show", "new", "0", "--json"))
    assert first["parameters"] == {**best["parameters"], "model.hidden_size": 4}
    assert first["warm_start"] == ["old"]
    assert "warm-started from old" in hpo("show", "new", "0")
    again = hpo.start("launch", str(hpo.replace(**new, stop={"trials": 5})))
    said, _ = again.communicate(timeout=100)
    assert "warm start from old: 5 of its 5" in said
    assert "warm-started from old" in hpo("status", "new")


def test_interrupted_and_continued(hpo: Hpo) -> None:
    config = str(hpo.write(**LONG, stop={"trials": 2}))
    launch = hpo.start("launch", config)
    wait_until(lambda: reports(hpo) >= 2)
    launch.send_signal(signal.SIGINT)
    assert launch.wait(timeout=15) == 130
    before = trials(hpo)
    assert [row["state"] for row in before if row["state"] == "RUNNING"] == []
    assert not runners(os.getpid())

    hpo("launch", config)
    after = trials(hpo)
    assert [(row["number"], row["outcome"]) for row in after] == [(0, "ok"), (1, "ok")]
    assert after[0]["parameters"] == before[0]["parameters"]
    rungs = json.loads(hpo("query", "select number, meta_iteration from hpo_curves", "--format", "json"))
    assert len(rungs) == len({(row["number"], row["meta_iteration"]) for row in rungs}) == 2 * 20


def test_a_killed_runner_costs_an_attempt_and_no_trial(hpo: Hpo) -> None:
    launch = hpo.start("launch", str(hpo.write(**LONG, stop={"trials": 2})))
    wait_until(lambda: reports(hpo) >= 2)
    (runner,) = runners(launch.pid)
    runner.kill()
    assert launch.wait(timeout=90) == 0
    rows = trials(hpo)
    assert [(row["number"], row["outcome"], row["attempts"]) for row in rows] == [(0, "ok", 2), (1, "ok", 1)]


def test_a_killed_worker_costs_an_attempt_and_no_trial(hpo: Hpo) -> None:
    launch = hpo.start("launch", str(hpo.write(**LONG, stop={"trials": 2})))
    wait_until(lambda: reports(hpo) >= 2)
    (runner,) = runners(launch.pid)
    worker = runner.parent()
    assert worker is not None
    worker.kill()
    assert launch.wait(timeout=90) == 0
    assert [(row["outcome"], row["attempts"]) for row in trials(hpo)] == [("ok", 2), ("ok", 1)]
    assert not runner.is_running()


def test_workers_by_hand_join_a_launch_on_postgresql(hpo_on_postgres: Hpo) -> None:
    hpo = hpo_on_postgres
    config = hpo.replace(
        stop={"trials": 12},
        search={
            "model.cell": {"type": "categorical", "choices": ["rnn", "gru", "lstm"]},
            "model.hidden_size": {"type": "int", "low": 2, "high": 6},
            "learner.inner_lr": {"type": "float", "low": 0.1, "high": 0.1},
        },
        training={**LONG["training"], "meta_iterations": 60},
    )
    launch = hpo.start("launch", str(config))
    wait_until(lambda: hpo.try_run("studies"))
    workers = [hpo.start("worker", "--study", "small") for _ in range(2)]
    assert launch.wait(timeout=150) == 0
    assert [worker.wait(timeout=30) for worker in workers] == [0, 0]
    rows = trials(hpo)
    assert [row["outcome"] for row in rows] == ["ok"] * 12
    suggestions = Counter(json.dumps(row["parameters"], sort_keys=True) for row in rows)
    assert max(suggestions.values()) == 1


FAILING_TASKS = '''
from hpo.config.tasks import SinusoidConfig
from hpo.meta.tasks import Sinusoid


class Failing(Sinusoid):
    """A family with a bug that shows in some trials only."""

    class Config(SinusoidConfig):
        kind: str

    def sample(self, split, tasks, rng):
        if self.config.shots == 2:
            raise RuntimeError("the sensor file is broken")
        return super().sample(split, tasks, rng)
'''


def test_a_trial_that_raises_is_recorded_and_the_study_goes_on(hpo: Hpo) -> None:
    (hpo.folder / "failing_tasks.py").write_text(FAILING_TASKS)
    tasks = {"kind": "failing_tasks:Failing", "window": 4}
    search = {"tasks.shots": {"type": "categorical", "choices": [2, 3, 4]}}
    hpo("launch", str(hpo.replace(tasks=tasks, search=search, stop={"trials": 3})))
    outcomes = {json.loads(row["parameters"])["tasks.shots"]: (row["outcome"], row["reason"]) for row in trials(hpo)}
    assert outcomes[3] == outcomes[4] == ("ok", None)
    assert outcomes[2][0] == "error"
    assert "RuntimeError: the sensor file is broken (failing_tasks.py:" in outcomes[2][1]


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_pause_and_stop_are_honoured_within_seconds(hpo: Hpo, verb: str) -> None:
    config = str(hpo.write(**LONG, stop={"trials": 2}))
    launch = hpo.start("launch", config)
    wait_until(lambda: reports(hpo) >= 1)
    hpo(verb, "small")
    assert launch.wait(timeout=20) == 0
    assert "RUNNING" not in {row["state"] for row in trials(hpo)}
    hpo("resume", "small")
    hpo("worker", "--study", "small")
    assert [row["outcome"] for row in trials(hpo)] == ["ok", "ok"]
