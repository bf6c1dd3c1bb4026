from __future__ import annotations

import pytest

from hpo.config.cluster import minutes
from hpo.config.execution import ExecutionConfig


@pytest.mark.parametrize(
    ("written", "expected"),
    [(240, 240), ("4:00:00", 240), ("04:00:00", 240), ("0:30:01", 31), ("1-12:00:00", 2160), ("100:00:00", 6000)],
)
def test_time_limits_in_minutes(written: int | str, expected: int) -> None:
    assert minutes(written) == expected


@pytest.mark.parametrize(
    ("devices", "gpus", "expected"),
    [("auto", None, "cpu"), ("auto", 0.25, None), ("cpu", 1.0, "cpu"), ("cuda", 1.0, "cuda:0")],
)
def test_what_a_worker_in_a_cluster_trains_on(devices: str, gpus: float | None, expected: str | None) -> None:
    config = ExecutionConfig.model_validate({"executor": "ray", "devices": devices, "gpus_per_worker": gpus})
    assert config.worker_device == expected
