"""``hpo learners``: what it says is what the configs accept."""

from __future__ import annotations

import pytest

from hpo.config.learner import LEARNERS
from tests.cli.conftest import Run, as_json


def test_all_learners_each_with_what_it_is(run: Run) -> None:
    rows = as_json(run("learners", "--json"))
    assert [row["kind"] for row in rows] == list(LEARNERS)
    assert all("20" in row["what"] or "19" in row["what"] for row in rows), "its paper has a year"
    assert {row["kind"] for row in rows if row["tasks"] == "classes"} == {
        kind for kind, model in LEARNERS.items() if model.needs_classes
    }


@pytest.mark.parametrize("kind", LEARNERS)
def test_every_field_of_a_learner(run: Run, kind: str) -> None:
    rows = as_json(run("learners", kind, "--json"))
    assert [row["field"] for row in rows] == [
        f"learner.{name}" for name in LEARNERS[kind].model_fields if name != "kind"
    ]
    assert {row["field"] for row in rows if row["search"]} == {
        f"learner.{name}" for name in LEARNERS[kind].default_search
    }
    assert all(row["what"] or row["expected"] for row in rows)


def test_bounds_and_default_search_in_words(run: Run) -> None:
    rows = {row["field"]: row for row in as_json(run("learners", "maml", "--json"))}
    assert rows["learner.inner_lr"]["expected"] == "0.0 < float <= 100.0"
    assert rows["learner.inner_lr"]["search"] == "0.003 to 10.0 (log)"
    assert rows["learner.order"]["expected"] == "first, second"
    assert "learner.inner_steps" in run("learners", "maml").stdout


def test_an_unknown_learner_is_told_the_nearest(run: Run) -> None:
    assert "there is no learner 'mamal'; did you mean 'maml'?" in run("learners", "mamal", code=2).stderr
