from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.config.study import StudyConfig
from hpo.config.work import EXPONENTS
from hpo.sampler.cost import Cost, ThriftyAcquisition
from hpo.sampler.domain import Domain
from hpo.space import Space

SPACE = Space.from_search(
    {
        "model.hidden_size": IntDimension(type="int", low=8, high=128, log=True),
        "learner.inner_steps": IntDimension(type="int", low=1, high=5),
        "learner.inner_lr": FloatDimension(type="float", low=0.01, high=1.0, log=True),
        "model.cell": CategoricalDimension(type="categorical", choices=["rnn", "lstm"]),
        "shift": FloatDimension(type="float", low=-1.0, high=1.0, when={"model.cell": ["lstm"]}),
    }
)


def _points(count: int, seed: int = 0) -> np.ndarray:
    domain = Domain.of(SPACE)
    return domain.canonical(domain.snap(np.random.default_rng(seed).random((count, len(SPACE)))))


def _log_seconds(cost: Cost, **params: object) -> float:
    at = {"model.hidden_size": 16, "learner.inner_steps": 2, "learner.inner_lr": 0.1, "model.cell": "rnn", **params}
    return float(cost.log_seconds(torch.from_numpy(SPACE.encode(at))[None]))


def test_without_a_training_the_structure_counts() -> None:
    cost = Cost.learn(Domain.of(SPACE), _points(3), [None, None, None])
    base = _log_seconds(cost)
    assert _log_seconds(cost, **{"model.hidden_size": 64}) - base == pytest.approx(2 * np.log(4), rel=0.02)
    assert _log_seconds(cost, **{"learner.inner_lr": 1.0}) == base
    assert _log_seconds(cost, **{"learner.inner_steps": 4}) > base


def test_what_was_measured_corrects_it() -> None:
    """Seconds that are linear in the hidden size, and three times as many for an LSTM."""
    x = _points(200)
    configs = [SPACE.decode(point) for point in x]
    seconds = [0.1 * p["model.hidden_size"] * (3 if p["model.cell"] == "lstm" else 1) for p in configs]
    cost = Cost.learn(Domain.of(SPACE), x, seconds)
    base = _log_seconds(cost)
    assert base == pytest.approx(np.log(1.6), abs=0.1)
    assert _log_seconds(cost, **{"model.hidden_size": 64}) - base == pytest.approx(np.log(4), rel=0.05)
    assert _log_seconds(cost, **{"model.cell": "lstm", "shift": 0.0}) - base == pytest.approx(np.log(3), rel=0.1)


@given(st.lists(st.one_of(st.none(), st.floats(1e-9, 1e9)), max_size=12), st.integers(0, 9))
def test_any_seconds_give_finite_costs_with_gradients(seconds: list[float | None], seed: int) -> None:
    cost = Cost.learn(Domain.of(SPACE), _points(len(seconds), seed), seconds)
    x = torch.from_numpy(_points(32, 1)).requires_grad_()
    found = ThriftyAcquisition(lambda x: x.new_zeros(len(x)), cost, 0.5)(x)
    torch.testing.assert_close(found, -0.5 * cost.log_seconds(x))
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert found.isfinite().all()
    assert gradient[:, :4].isfinite().all()


def test_exponents_are_of_fields_that_exist() -> None:
    tasks = [{"kind": "language_id"}, {"kind": "sinusoid"}]
    raw = {"name": "any", "learner": {"kind": "maml"}}
    fields = {path for kind in tasks for path in StudyConfig.from_dict({**raw, "tasks": kind}).fixed_values()}
    assert EXPONENTS.keys() <= fields
