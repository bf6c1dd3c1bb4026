"""Studies whose workers train several trials at once, with real runners."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any, Literal

import pytest

from hpo.config import StudyConfig
from hpo.launch import create_or_resume
from hpo.meta.loop import meta_train
from hpo.records import Report, TrialOutcome, TrialSpec
from hpo.results import queries
from hpo.results.engine import Database, connect
from tests.end_to_end.support import CONFIG, Hpo, wait_until
from tests.end_to_end.test_study import reports, runners, trials

RATES: dict[str, dict[str, Any]] = {
    "learner.inner_lr": {"type": "float", "low": 0.001, "high": 0.5, "log": True},
    "training.outer_lr": {"type": "float", "low": 0.0001, "high": 0.1, "log": True},
    "learner.inner_steps": {"type": "int", "low": 1, "high": 2},
}
FUSED = {**CONFIG["execution"], "fuse": 4}
LONG = {"meta_iterations": 600, "eval_every": 25, "eval_tasks": 8, "meta_batch": 2}


def rungs(hpo: Hpo) -> dict[int, list[int]]:
    """Trial number -> the meta-iterations at which it reported."""
    rows = json.loads(hpo("query", "select * from hpo_curves order by number, meta_iteration", "--format", "json"))
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row["number"], []).append(row["meta_iteration"])
    return found


def test_a_study_of_mixed_shapes(hpo: Hpo) -> None:
    search = {**RATES, "model.hidden_size": {"type": "int", "low": 3, "high": 4}}
    hpo("launch", str(hpo.replace(search=search, stop={"trials": 9}, execution=FUSED)))
    rows = trials(hpo)
    assert [(row["number"], row["outcome"], row["attempts"]) for row in rows] == [(i, "ok", 1) for i in range(9)]
    assert len({row["parameters"] for row in rows}) == 9
    assert len({json.loads(row["parameters"])["model.hidden_size"] for row in rows[:4]}) == 2
    assert rungs(hpo) == {number: [2, 4, 6] for number in range(9)}
    assert all(row["posterior_mean"] is not None for row in rows)
    assert "9 of 9 trials ended" in hpo("status", "small")
    shown = hpo("show", "small", "3")
    assert str(json.loads(rows[3]["parameters"])["learner.inner_lr"]) in shown
    assert "adaptation on 8 validation tasks" in shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_is_let_go_or_killed_goes_on_as_the_same_trials(hpo: Hpo, number: signal.Signals) -> None:
    """SIGTERM to the launcher, or SIGKILL to the runner."""
    config = str(hpo.replace(search=RATES, training=LONG, stop={"trials": 6}, execution=FUSED))
    launch = hpo.start("launch", config)
    wait_until(lambda: reports(hpo) >= 8)
    assert "4 running" in hpo("status", "small")
    if number is signal.SIGTERM:
        launch.send_signal(number)
        assert launch.wait(timeout=15) == 130
        assert "RUNNING" not in {row["state"] for row in trials(hpo)}
        hpo("launch", config)
    else:
        (runner,) = runners(launch.pid)
        runner.kill()
        assert launch.wait(timeout=90) == 0
    rows = trials(hpo)
    attempts = [1] * 6 if number is signal.SIGTERM else [2, 2, 2, 2, 1, 1]
    assert [(row["number"], row["outcome"], row["attempts"]) for row in rows] == [
        (i, "ok", made) for i, made in enumerate(attempts)
    ]
    assert rungs(hpo) == {number: list(range(25, 601, 25)) for number in range(6)}


class Remembered:
    """What one trial reports when it is trained alone."""

    def __init__(self) -> None:
        self.reports: dict[int, Report] = {}

    def report(self, report: Report) -> None:
        self.reports[report.meta_iteration] = report

    def checkpointed(self, meta_iteration: int, path: Path) -> None: ...

    def interruption(self) -> Literal["prune", "stop"] | None:
        return None


def test_the_same_trials_are_pruned_as_of_trials_that_train_alone(hpo: Hpo, tmp_path: Path) -> None:
    calm = {  # higher rates are at the edge of chaos, where rounding grows a hundredfold in ten meta-iterations
        **RATES,
        "learner.inner_lr": {**RATES["learner.inner_lr"], "high": 0.1},
        "training.outer_lr": {**RATES["training.outer_lr"], "high": 0.03},
    }
    sections: dict[str, Any] = {
        "search": calm,
        "training": {**LONG, "meta_iterations": 90, "eval_every": 10},
        "pruner": {"kind": "asha", "min_iterations": 10, "reduction_factor": 2},
        "sampler": {"kind": "gp_ei", "startup_trials": 8},  # one design for all workers: the same trials every time
        "stop": {"trials": 8},
        "execution": FUSED,
    }
    hpo("launch", str(hpo.replace(**sections)))
    told = rungs(hpo)
    with connect(hpo.storage) as database, connect(f"sqlite:///{tmp_path / 'alone.db'}", create=True) as other:
        rows = queries.study_trials(database, "small")
        alone = [trained_alone(database, row.number) for row in rows]
        running = create_or_resume(StudyConfig.from_dict({**CONFIG, **sections}), other)
        leases = running.lease_trials(8, "a", "host", "cpu")
        pruned = set()
        for first in (0, 4):
            batch = range(first, first + 4)
            for step in range(10, 91, 10):  # in lock-step; a pruned one reports until it hears of it
                pruned |= {
                    number
                    for number in batch
                    if step in told[number] and running.report(leases[number], alone[number][step])
                }
    assert pruned == {row.number for row in rows if row.outcome == "pruned"}
    assert 0 < len(pruned) < 8
    for row in rows:
        assert row.value == pytest.approx(alone[row.number][told[row.number][-1]].objective.mean, rel=1e-3)


def trained_alone(database: Database, number: int) -> dict[int, Report]:
    config = queries.trial(database, "small", number).config
    assert config is not None
    events = Remembered()
    ended = meta_train(TrialSpec(trial_id=number, number=number, config=config, device="cpu", threads=1), events)
    assert isinstance(ended, TrialOutcome)
    return events.reports
