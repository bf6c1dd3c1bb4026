"""The best configs of a search are trained again by real workers, one of which is killed."""

from __future__ import annotations

import json

from tests.end_to_end.support import Hpo, wait_until
from tests.end_to_end.test_study import LONG, runners, trials


def repeats(hpo: Hpo) -> int:
    """How many rungs trainings with new seeds have reported so far."""
    sql = (
        "select count(*) as n from hpo_curves as c join hpo_trials as t on t.trial_id = c.trial_id and t.confirms >= 0"
    )
    done = hpo.try_run("query", sql, "--format", "json") if (hpo.folder / "hpo.db").exists() else None
    return int(json.loads(done)[0]["n"]) if done else 0


def test_a_worker_that_is_killed_in_a_confirmation_costs_an_attempt_and_no_training(hpo: Hpo) -> None:
    stop = {"trials": 3, "confirm": 2, "confirm_seeds": 2}
    training = {**LONG["training"], "meta_iterations": 1200, "eval_every": 100}  # still runs when the worker is found
    search = {"learner.inner_lr": {"type": "float", "low": 0.01, "high": 0.1, "log": True}}
    execution = {"devices": "cpu", "slots_per_device": 2, "lease_s": 3.0}
    launch = hpo.start("launch", str(hpo.replace(training=training, search=search, stop=stop, execution=execution)))
    wait_until(lambda: repeats(hpo) >= 2, timeout=120)
    worker = runners(launch.pid)[0].parent()
    assert worker is not None
    worker.kill()
    said, _ = launch.communicate(timeout=120)
    assert launch.returncode == 0
    assert "4 of 4 trainings with new seeds ended" in said

    rows = trials(hpo)
    assert [row["outcome"] for row in rows] == ["ok"] * 7
    chosen = sorted({row["confirms"] for row in rows[3:]})
    assert sorted((row["confirms"], row["seed"]) for row in rows[3:]) == [(n, k) for n in chosen for k in (1, 2)]
    assert len(chosen) == 2
    assert sum(row["attempts"] - 1 for row in rows) == 1
    reported = json.loads(hpo("query", "select number, meta_iteration from hpo_curves", "--format", "json"))
    assert len(reported) == len({(row["number"], row["meta_iteration"]) for row in reported}) == 7 * 12

    first, second, *others = json.loads(hpo("best", "small", "--format", "json"))
    assert sorted([first["number"], second["number"]]) == chosen
    assert [row["confirmed_seeds"] for row in (first, second, *others)] == [2, 2, None]
    values = {(row["confirms"], row["seed"]): row["value"] for row in rows[3:]}
    for row in (first, second):
        assert row["confirmed_mean"] * 2 == sum(values[row["number"], seed] for seed in (1, 2))
    assert first["confirmed_mean"] <= second["confirmed_mean"]
    assert "confirmed" in hpo("show", "small", str(first["number"]))
