from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.config import TrialConfig
from hpo.memory import calibration, predicted_bytes

RAW: dict[str, Any] = {
    "tasks": {"kind": "sinusoid", "shots": 5, "queries": 10, "window": 40},
    "model": {"cell": "lstm", "hidden_size": 32},
    "learner": {"kind": "maml", "inner_steps": 2, "inner_lr": 0.01},
    "training": {"meta_batch": 2, "meta_iterations": 1, "eval_tasks": 4, "eval_every": 1},
}
TRAIN = """
import json
import sys
from hpo.config import TrialConfig
from hpo.meta.loop import train

class Deaf:
    def report(self, report): ...
    def checkpointed(self, meta_iteration, path): ...
    def interruption(self): ...

print(train(TrialConfig.from_dict(json.loads(sys.argv[1])), "cpu", None, Deaf(), threads=1).outcome.peak_memory_bytes)
"""


def config(**changes: dict[str, Any]) -> TrialConfig:
    return TrialConfig.from_dict({key: {**RAW[key], **changes.get(key, {})} for key in RAW})


@given(
    hidden=st.integers(1, 4000),
    layers=st.integers(1, 8),
    steps=st.integers(1, 50),
    window=st.integers(2, 500),
    cell=st.sampled_from(["rnn", "gru", "lstm"]),
)
def test_more_of_anything_takes_no_less(hidden: int, layers: int, steps: int, window: int, cell: str) -> None:
    def predicted(**more: int) -> int:
        model = {"cell": cell, "hidden_size": hidden + more.get("hidden", 0), "layers": layers + more.get("layers", 0)}
        learner, tasks = {"inner_steps": steps + more.get("steps", 0)}, {"window": window + more.get("window", 0)}
        return predicted_bytes(config(model=model, learner=learner, tasks=tasks, training={"meta_batch": 1}), "cpu")

    assert all(predicted(**{what: 1}) >= predicted() for what in ("hidden", "layers", "steps", "window"))


@pytest.mark.parametrize("changes", [{}, {"model": {"hidden_size": 700}}])
def test_a_prediction_is_of_the_right_size(changes: dict[str, Any]) -> None:
    """Measured in a process of its own: between a third and three times."""
    of = config(**changes)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, json.dumps(of.to_dict())], capture_output=True, text=True, check=True
    )
    assert 1 / 3 < predicted_bytes(of, "cpu") / int(done.stdout) < 3


def test_measured_peaks_correct_predictions() -> None:
    assert calibration([]) == 1.0
    assert calibration([(100, 50), (100, 0), (200, 120), (10, 90)]) == 0.6
