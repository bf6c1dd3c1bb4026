"""A small study, and what tests do with it instead of training."""

from __future__ import annotations

from typing import Any

from hpo.config import StudyConfig
from hpo.records import Estimate, Outcome, TrialOutcome
from hpo.study import Lease, Study
from tests.end_to_end.support import CONFIG


def config(**sections: dict[str, Any]) -> StudyConfig:
    return StudyConfig.from_dict({**CONFIG, "sampler": {"kind": "random"}, **sections})


def ok(value: float) -> TrialOutcome:
    return TrialOutcome(outcome=Outcome.OK, objective=Estimate(mean=value, sem=0.1))


def lease(running: Study, worker: str = "a") -> Lease:
    leased = running.lease_trial(worker, "host", "cpu")
    assert leased is not None
    return leased
