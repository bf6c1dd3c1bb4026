from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.bench.samplers import transfer
from tests.bench.samplers.shapes import shape


def test_relatives_are_what_they_are_called() -> None:
    task = shape("noisy_quadratic")
    best = {"rate": 0.01, "decay": 0.3, "size": 64, "steps": 5, "cell": "lstm"}
    worst = {"rate": 1.0, "decay": 1.0, "size": 8, "steps": 10, "cell": "rnn"}
    near, far, opposite = (transfer.relative(task, kind, 0) for kind in ("near", "far", "opposite"))
    assert task.worth(best) == pytest.approx(0.0, abs=1e-12)
    assert 5.0 < near.worth(best) < 5.5 < far.worth(best)
    assert opposite.worth(best) == pytest.approx(5.0)
    assert opposite.worth(worst) < 0 < near.worth(worst)


def test_what_fails_fails_in_each_relative_too() -> None:
    edge, beyond = shape("stability_edge"), {"inner_lr": 10.0, "outer_lr": 0.1, "size": 128, "steps": 5}
    assert transfer.relative(edge, "opposite", 0).told(beyond, np.random.default_rng(0)) is None


def test_gains_are_paired() -> None:
    plays = [{"none": [1.0, 0.1], "near": [1.0, 0.01]}, {"none": [1.0, 0.1], "near": [1.0, 0.1]}]
    assert transfer.table(plays, at=(2,)) == ["| none | 0.1 |", "| near | 0.055 (-0.50 ± 0.50) |"]


def test_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "SOURCE_TRIALS", 6)
    monkeypatch.setattr(transfer, "regrets", _short)
    transfer.main(["--json", "--problems", "noisy_quadratic", "--seeds", "1", "--processes", "1"])
    ((play,),) = json.loads(capsys.readouterr().out).values()
    assert play.keys() == transfer.SOURCES.keys()
    assert all(len(regret) == 5 and math.isfinite(regret[-1]) for regret in play.values())


def _short(problem: str, seed: int, regrets: object = transfer.regrets) -> object:
    return regrets(problem, seed, evaluations=5)  # type: ignore[operator]
