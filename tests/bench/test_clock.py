"""Studies on a simulated clock."""

from __future__ import annotations

import json
import math

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from hpo.config.search import FloatDimension
from hpo.space import Space
from tests.bench.samplers import noise, pruning, workers
from tests.bench.samplers.clock import Lasting, Replayed, Studied, designed, studied, timed
from tests.bench.samplers.tables import Recorded

RUNGS = [10, 20]


@pytest.fixture
def table() -> Recorded:
    """Twelve trainings; the further from 0.3, the worse and the longer. The last one diverges at its second rung."""
    space = Space.from_search({"a": FloatDimension(type="float", low=0.0, high=1.0)})
    points = np.linspace(0, 1, 12)[:, None]
    final = (points[:, 0] - 0.3) ** 2 + 1.0
    tasks = np.stack([np.stack([final + 1.0, final], 1)] * 2, -1)
    tasks[-1, 1] = np.inf
    seconds = np.outer(1.0 + np.arange(12), [1.0, 2.0])
    return Recorded(space, points, np.array(RUNGS), tasks, seconds)


def _studied(table: Recorded, **options: object) -> Studied:
    on = Replayed(table)
    return studied(on, lambda worker: optuna.samplers.RandomSampler(worker), design=designed(on, 0, 12), **options)


def test_one_worker_takes_as_long_as_all_trainings(table: Recorded) -> None:
    found = _studied(table, trials=12)
    assert [run.began for run in found.runs] == [0.0, *(run.ended for run in found.runs[:-1])]
    assert found.seconds == found.runs[-1].ended == table.seconds[:, -1].sum()
    assert found.meta_iterations == 12 * 20
    assert sorted(run.params["a"] for run in found.runs) == pytest.approx(np.linspace(0, 1, 12))
    assert [run.state for run in found.runs].count(TrialState.FAIL) == 1
    assert found.regret == table.floor
    best = next(run for run in found.runs if table.worth(run.params) <= table.optimum + table.floor)
    assert found.time_to(found.regret) == best.ended
    assert found.time_to(found.regret / 2) == math.inf


def test_workers_train_at_once_and_no_config_twice(table: Recorded) -> None:
    found = _studied(table, trials=12, workers=4)
    assert len({run.params["a"] for run in found.runs}) == 12
    assert [run.ended for run in found.runs] == sorted(run.ended for run in found.runs)
    assert found.seconds == table.seconds[:, -1].sum()
    begun = sorted((run.began, run.ended) for run in found.runs)
    assert all(sum(a <= began < b for a, b in begun) <= 4 for began, _ in begun)
    assert found.runs[-1].ended < found.seconds / 2


def test_what_is_pruned_is_not_trained_on(table: Recorded) -> None:
    halving = optuna.pruners.SuccessiveHalvingPruner(min_resource=10, reduction_factor=3)
    found = _studied(table, trials=12, study=optuna.create_study(pruner=halving))
    pruned = [run for run in found.runs if run.state is TrialState.PRUNED]
    assert pruned
    assert found.meta_iterations == 12 * 20 - len(pruned) * 10
    assert all(run.ended - run.began == table.seconds[table.row(run.params), 0] for run in pruned)


def test_trials_of_a_formula_last_as_long_as_recorded_ones() -> None:
    on = timed("noisy_quadratic", 3)
    assert isinstance(on, Lasting)
    params = on.problem.space.decode(np.full(len(on.problem.space), 0.4))
    one, again, other = (on.training(params, number) for number in (0, 0, 1))
    assert one == again != other
    assert {*one.seconds, *other.seconds} <= {*on.seconds}


def test_eight_workers(capsys: pytest.CaptureFixture[str]) -> None:
    workers.main(["--problems", "noisy_quadratic", "--trials", "14", "--seeds", "1", "--workers", "4"])
    found = json.loads(capsys.readouterr().out)["noisy_quadratic"]
    assert found["duplicates"] == 0
    assert found["regret alone"] > 0.0
    assert found["seconds alone"] > 0.0


def test_pruning(capsys: pytest.CaptureFixture[str]) -> None:
    pruning.main(["--trials", "12", "--pruned-trials", "12", "--seeds", "1"])
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {*pruning.WAYS}
    assert found["all trained"]["meta-iterations"] == 12 * 160 > found["pruned"]["meta-iterations"]


def test_noise(capsys: pytest.CaptureFixture[str]) -> None:
    noise.main(["--studies", "2", "--trials", "12", "--deviation", "1e-6"])
    found = json.loads(capsys.readouterr().out)
    assert found["luckiest"] == pytest.approx(found["confirmed"])
    assert 1.0 < found["confirmed"] < 2.0
    assert 0.0 <= found["in the 90% interval"] <= 1.0
