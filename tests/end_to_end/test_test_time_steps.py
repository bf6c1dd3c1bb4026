"""Trials that choose their test-time steps, from the search to the test, with real trainings."""

from __future__ import annotations

import json

import yaml

from tests.end_to_end.support import CONFIG, Hpo
from tests.end_to_end.test_study import trials

EVAL_STEPS = 4


def losses(hpo: Hpo, number: int) -> dict[int, float]:
    """Inner step -> the loss of a trial's adaptation curve."""
    sql = f"select inner_step, loss from hpo_adaptation_curves where number = {number}"
    return {row["inner_step"]: row["loss"] for row in json.loads(hpo("query", sql, "--format", "json"))}


def test_the_steps_that_validation_chose_are_those_of_new_seeds_and_of_the_test(hpo: Hpo) -> None:
    config = hpo.replace(
        objective={"inner_steps": "best"},
        training={**CONFIG["training"], "eval_steps": EVAL_STEPS, "test_tasks": 8},
        search={"learner.inner_lr": {"type": "float", "low": 0.0001, "high": 0.5, "log": True}},
        stop={"trials": 6, "confirm": 1, "confirm_seeds": 2},
    )
    summary = hpo("launch", str(config))
    rows = trials(hpo)
    assert [row["outcome"] for row in rows] == ["ok"] * 8
    for row in rows[:6]:
        curve = losses(hpo, row["number"])
        assert row["value"] == curve[row["objective_inner_steps"]] == min(curve[step] for step in curve if step)
        assert row["value"] <= curve[CONFIG["learner"]["inner_steps"]]
    assert len({row["objective_inner_steps"] for row in rows[:6]}) > 1  # small rates want more steps than large ones

    best = json.loads(hpo("best", "small", "--format", "json"))[0]
    steps = best["objective_inner_steps"]
    assert [row["objective_inner_steps"] for row in rows[6:]] == [steps] * 2
    assert f"objective.inner_steps  {steps}" in summary
    assert "test-time steps" in hpo("best", "small")
    assert f"after {steps} inner step" in hpo("show", "small", str(best["number"]))

    hpo("export", "small", "-o", "best.yaml")
    assert yaml.safe_load((hpo.folder / "best.yaml").read_text())["objective"]["inner_steps"] == steps
    trained = json.loads(hpo("train", "best.yaml", "--seeds", "2", "--json"))
    assert [seed["inner_steps"] for seed in trained["configs"][0]["seeds"]] == [steps] * 2
