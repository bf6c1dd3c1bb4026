"""A study whose best configs are trained again: what people see, and what programs get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hpo.cli.progress import new_lines, standing
from hpo.cli.summary import print_summary
from hpo.cli.watch import Watch
from hpo.config import StudyConfig
from hpo.launch import create_or_resume
from hpo.records import Outcome
from hpo.results import store
from hpo.results.engine import Database
from hpo.study import Lease, Study
from tests.cli.conftest import RAW, Run, as_json, ended, ok
from tests.cli.test_cli_progress import rendered


@pytest.fixture
def searched(database: Database) -> Study:
    """Trials 1 and 2 of three are likely best, and are to be trained with two new seeds each."""
    raw = {**RAW, "name": "lab", "stop": {"trials": 3, "confirm": 2, "confirm_seeds": 2}}
    made = create_or_resume(StudyConfig.from_dict(raw), database)
    for loss in (0.9, 0.7, 0.8):
        made.finish(lease(made), ok(loss))
    return made


def lease(study: Study) -> Lease:
    leased = study.lease_trial("worker", "host-1", "cpu")
    assert leased is not None
    return leased


@pytest.fixture
def confirmed(searched: Study) -> Study:
    """Trial 2 turns out to be better than trial 1."""
    for loss in (0.85, 0.80, 0.88, 0.84):
        searched.finish(lease(searched), ok(loss))
    return searched


def test_best_ranks_what_is_confirmed_first(run: Run, confirmed: Study) -> None:
    result = run("best", "lab")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["rank", "trial", "objective", "confirmed", "behind", "the", "best", "inner_lr"]
    assert [line[:2] for line in lines[1:]] == [["1", "2"], ["2", "1"], ["3", "0"]]
    assert "0.820 ± 0.020" in result.stdout
    assert "0.0450 ± 0.0050" in result.stdout
    assert "luckiest   trial 1: 0.700 ± 0.012" in result.stderr
    assert "confirmed  trial 2: 0.820 ± 0.020 over 2 new seeds" in result.stderr


def test_best_for_programs(run: Run, confirmed: Study) -> None:
    first, second, third = as_json(run("best", "lab", "--json"))
    assert (first["number"], first["confirmed_seeds"], first["confirmed_failed"]) == (2, 2, 0)
    assert first["confirmed_mean"] == pytest.approx(0.82)
    assert first["behind_mean"] is None
    assert (second["is_luckiest"], second["behind_seeds"]) == (True, 2)
    assert (second["behind_mean"], second["behind_sem"]) == pytest.approx((0.045, 0.005))
    assert third["confirmed_mean"] is None


def test_the_best_that_is_exported_is_the_confirmed_one(run: Run, confirmed: Study, folder: Path) -> None:
    run("export", "lab", "-o", "best.yaml")
    written = (folder / "best.yaml").read_text()
    assert written.startswith(
        "# Trial 2 of the study lab: ok, 0.800 ± 0.012; confirmed, 0.820 ± 0.020 over new seeds; written by hpo export."
    )
    assert yaml.safe_load(written)["training"]["seed"] == 0


def test_show_tells_what_repeats_what(run: Run, confirmed: Study) -> None:
    assert "confirmed        0.820 ± 0.020 over 2 new seeds" in run("show", "lab", "2").stdout
    assert "confirms         trial 1, with seed 1" in run("show", "lab", "3").stdout
    assert as_json(run("show", "lab", "3", "--json"))["confirms"] == 1


def test_status_counts_them_apart(run: Run, searched: Study) -> None:
    searched.finish(lease(searched), ok(0.8))
    lease(searched)
    text = run("status", "lab").stdout
    assert "3 of 3 trials ended (3 complete, 0 pruned, 0 failed), 1 running" in text
    assert "the likely best again, trials 1, 2: 1 of 4 trainings with new seeds ended" in text
    assert "4 (again 2)" in text
    assert "best 0.700 ± 0.012, trial 1" in text  # no verdict before all have ended
    assert as_json(run("status", "lab", "--json"))["confirmations"]["complete"] == 1


def test_status_names_the_confirmed_best(run: Run, confirmed: Study) -> None:
    assert "best 0.820 ± 0.020 over 2 new seeds, trial 2: inner_lr=" in run("status", "lab").stdout


def test_the_progress_of_a_confirmation(searched: Study, database: Database) -> None:
    watch = Watch(database, searched.config)
    before = watch.look()
    assert (before.total, len(before.ended), before.to_confirm, before.left) == (3, 3, 4, 4)  # not planned yet
    searched.finish(lease(searched), ok(0.8))
    searched.finish(lease(searched), ended(Outcome.DIVERGED, "the loss is nan"))
    lease(searched)
    now = watch.look()
    assert (len(now.ended), len(now.confirmations), now.to_confirm, now.left) == (3, 2, 4, 2)
    assert now.failed == ()
    assert new_lines(before, now) == [
        "[new seed 1/4] trial 3 (again 1) ok 0.800 ± 0.012 34 s",
        "[new seed 2/4] trial 4 (again 2) diverged the loss is nan 5 s",
    ]
    assert "trial 5 (again 1) at 0/4 on host-1 cpu" in standing(now)
    text = rendered(now)
    for part in ("3/3 trials", "2/4 new seeds", "trial 5 (again 1)", "left"):
        assert part in text


def test_a_study_with_too_few_results_has_less_to_confirm(database: Database) -> None:
    raw = {**RAW, "stop": {"trials": 1, "confirm": 3, "confirm_seeds": 2}}
    made = create_or_resume(StudyConfig.from_dict(raw), database)
    assert Watch(database, made.config).look().left == 7
    made.finish(lease(made), ok(0.5))
    lease(made)
    assert Watch(database, made.config).look().left == 2


def test_the_summary_ends_with_the_confirmed_best(
    confirmed: Study, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_summary(Watch(database, confirmed.config).look(), database, "sqlite:///hpo.db", as_json=False) == 0
    text = capsys.readouterr().out
    for part in (
        "3 of 3 trials ended: 0 pruned, 0 failed; 4 of 4 trainings with new seeds ended",
        "best config: trial 2, 0.820 ± 0.020 over 2 new seeds (confirmed)",
        "luckiest   trial 1: 0.700 ± 0.012",
        "0.0450 ± 0.0050 better than the next, trial 1, seed by seed",
    ):
        assert part in text


def test_the_named_queries_take_each_config_once(run: Run, confirmed: Study) -> None:
    best = as_json(run("query", "best", "--json"))
    assert [(row["number"], row["confirmed_seeds"]) for row in best] == [(2, 2), (1, 2), (0, None)]
    assert len(as_json(run("query", "progress", "--json"))) == 3


def test_a_launch_of_a_study_that_is_confirmed_does_nothing(run: Run, confirmed: Study) -> None:
    store.set_status(confirmed.database, confirmed.study_id, "running")
    Path("study.yaml").write_text(yaml.safe_dump({**confirmed.config.to_dict()}))
    result = run("launch", "study.yaml")
    assert "the study 'lab' is done: all its 3 trials have ended, and those that confirm the best" in result.stderr
    assert "trial 2, 0.820 ± 0.020 over 2 new seeds" in result.stdout


REASON = "after 3 of 9 trials: the expected gain of 6 more, at most 0.05, is below what the noise lets one see, 0.12"


@pytest.fixture
def settled(database: Database) -> Study:
    """Its search ended after three of nine trials."""
    made = create_or_resume(StudyConfig.from_dict({**RAW, "name": "lab", "stop": {"trials": 9}}), database)
    leases = [lease(made) for _ in range(3)]
    store.stop_search(database, made.study_id, REASON)
    for one in leases:
        made.finish(one, ok(0.5))
    return made


def test_why_a_search_ended_early_is_said_everywhere(
    run: Run, settled: Study, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"the search stopped {REASON}"
    assert said in run("status", "lab").stdout
    assert as_json(run("status", "lab", "--json"))["stop_reason"] == REASON
    last = Watch(database, settled.config).look()
    assert (last.status, last.total, last.left) == ("done", 3, 0)
    assert new_lines(replace(last, stop_reason=None), last) == [said]
    assert new_lines(last, last) == []
    print_summary(last, database, "sqlite:///hpo.db", as_json=False)
    assert said in capsys.readouterr().out
    Path("study.yaml").write_text(yaml.safe_dump(settled.config.to_dict()))
    assert f"is done: its search stopped {REASON}" in run("launch", "study.yaml").stderr
