"""What is said of the luckiest, the likely best and the confirmed config."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpo.ranking import ranking
from hpo.report.verdicts import Verdicts
from hpo.results.rows import BestRow, TrialCounts

ROW = BestRow(
    study="lab",
    rank=1,
    number=7,
    value=0.79,
    sem=0.012,
    posterior_mean=0.81,
    parameters={},
    seconds=1.0,
    study_id=1,
    trial_id=8,
    posterior_sd=0.01,
    confirmed_mean=None,
    confirmed_sem=None,
    confirmed_seeds=None,
    confirmed_failed=None,
    objective_inner_steps=None,
    violated=None,
    config=None,
)
NONE = Verdicts("minimize", None, None, (), TrialCounts())


def test_nothing_is_said_of_what_there_is_not() -> None:
    assert NONE.sentences() == {}


def test_each_is_named_for_what_it_is() -> None:
    confirmed = ranking({7: {1: 0.85, 2: 0.88}, 3: {1: 0.80, 2: 0.84}}, "minimize")
    found = Verdicts("minimize", ROW, replace(ROW, number=3, posterior_mean=0.80), confirmed, TrialCounts(complete=4))
    assert found.sentences() == {
        "luckiest": "trial 7: 0.790 ± 0.012, the best single training of the search; "
        "the surrogate expects 0.810 of it: trials near it did worse",
        "likely best": "trial 3: 0.800 [0.784, 0.816], what the surrogate expects and its 90% interval",
        "confirmed": "trial 3: 0.820 ± 0.020 over 2 new seeds, "
        "0.0450 ± 0.0050 better than the next, trial 7, seed by seed",
    }


@pytest.mark.parametrize(("direction", "worse"), [("minimize", True), ("maximize", False)])
def test_worse_is_a_matter_of_the_direction(direction: str, worse: bool) -> None:
    said = replace(NONE, direction=direction, luckiest=ROW).sentences()["luckiest"]
    assert said.endswith("did worse") == worse


def test_a_lucky_trial_that_no_surrogate_was_asked_about() -> None:
    said = replace(NONE, luckiest=replace(ROW, posterior_mean=None)).sentences()["luckiest"]
    assert said == "trial 7: 0.790 ± 0.012, the best single training of the search"


def test_while_it_is_being_confirmed() -> None:
    found = replace(NONE, confirming=TrialCounts(let_go=3, running=2, complete=4))
    assert found.sentences() == {"confirmed": "none yet: 4 of 9 new trainings have ended"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({3: {1: 0.5}}, "trial 3: 0.5000 over 1 new seed"),
        (
            {3: {1: 0.5, 2: 0.7}, 5: {1: 0.1, 2: None}},
            "trial 3: 0.60 ± 0.10 over 2 new seeds, the next, trial 5, failed with 1 of 2",
        ),
        ({3: {1: 0.5, 2: None}}, "trial 3: 0.5000 over 1 new seed, failed with 1"),
        ({3: {1: None, 2: None}}, "trial 3: failed with all 2 new seeds"),
    ],
)
def test_failures_and_single_seeds(values: dict[int, dict[int, float | None]], said: str) -> None:
    assert replace(NONE, confirmed=ranking(values, "minimize")).sentences() == {"confirmed": said}
