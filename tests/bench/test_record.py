from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpo.config import StudyConfig, TrialConfig
from hpo.config.load import load_study_config
from hpo.errors import Diverged
from hpo.meta.loop import train
from hpo.meta.training import Training
from hpo.records import Report
from hpo.sampler.domain import Domain
from hpo.space import Space
from tests.bench.samplers import record

pytest.importorskip("wordfreq")


class Listening(record.Silent):
    def __init__(self) -> None:
        self.reports: list[Report] = []

    def report(self, report: Report) -> None:
        self.reports.append(report)


def small() -> TrialConfig:
    config = load_study_config(record.CONFIG).trial_config({}).to_dict()
    config["training"] |= {
        "meta_iterations": 4,
        "eval_every": 2,
        "eval_tasks": 3,
        "meta_batch": 2,
    }
    config["model"]["hidden_size"] = 4
    return TrialConfig.from_dict(config)


def test_what_is_recorded_is_what_a_study_is_told() -> None:
    config, listening = small(), Listening()
    found = record.trained(config, steps=3)
    train(config, "cpu", None, listening, threads=1)
    assert found["losses"].shape == (2, 4, 3)
    told = [report.objective.mean for report in listening.reports]
    np.testing.assert_allclose(found["losses"][:, config.learner.inner_steps].mean(-1), told, rtol=2e-3)
    assert (np.diff(found["seconds"]) > 0).all()


def test_a_training_that_diverges_ends_in_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, step = record.trained(small(), steps=3), Training.step

    def diverging(self: Training, *arguments: Any) -> None:
        if self.meta_iteration == 3:
            raise Diverged("the norm of the meta-gradient is inf")
        step(self, *arguments)

    monkeypatch.setattr(Training, "step", diverging)
    found = record.trained(small(), steps=3)
    np.testing.assert_array_equal(found["losses"][0], whole["losses"][0])
    assert np.isnan(found["losses"][1]).all()
    assert np.isnan(found["seconds"]).tolist() == [False, True]


def test_the_points_are_valid_and_cover_the_space() -> None:
    config: StudyConfig = load_study_config(record.CONFIG)
    space = Space.from_search(config.search, config.fixed_values())
    points, domain = record.points(config), Domain.of(space)
    assert len(points) == config.stop.trials == len(np.unique(points, axis=0))
    assert all(domain.contains(space.decode(point)) for point in points)
    np.testing.assert_allclose(points.mean(0), 0.5, atol=0.05)
