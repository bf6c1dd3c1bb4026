"""What the database holds as a launch sees it, and what a launch ends with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpo.cli.progress import EndedTrial, Progress
from hpo.cli.summary import print_summary
from hpo.cli.watch import Watch
from hpo.records import Estimate, Outcome
from hpo.results.engine import Database
from hpo.study import Study

NOW = Progress("lab [bold]", "running", "minimize", 6)


def test_the_watch_sees_what_the_database_holds(study: Study, database: Database) -> None:
    watch = Watch(database, study.config)
    now = watch.look()
    assert [trial.number for trial in now.ended] == [0, 1, 2, 3]
    assert [trial.outcome for trial in now.ended] == ["ok", "ok", "pruned", "diverged"]
    assert now.best is not None
    assert now.best.number == 1
    (running,) = now.running
    assert (running.number, running.where, running.meta_iteration, running.meta_iterations) == (
        4,
        "host-1 cuda:0",
        2,
        4,
    )
    assert running.objective == Estimate(mean=1.25, sem=0.1)
    assert watch.look().ended is now.ended  # nothing has ended: they are not read again


def test_the_summary_names_the_likely_best_and_the_lucky_one(
    study: Study, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    now = replace(Watch(database, study.config).look(), status="done", elapsed_s=245.0)
    assert print_summary(now, database, "sqlite:///hpo.db", as_json=False) == 0
    text = capsys.readouterr().out
    for part in (
        "4 of 6 trials ended: 1 pruned, 1 failed; 4 min 05 s",
        "best config: trial 0, 0.800 ± 0.012 (expected 0.795 [0.779, 0.811])",
        "likely best  trial 0: 0.795 [0.779, 0.811]",
    ):
        assert part in text
    for part in (
        "learner.inner_lr  ",
        "luckiest     trial 1: 0.790 ± 0.012",
        "hpo best 'lab [bold]'",
        "hpo train lab--bold--best.yaml",
    ):
        assert part in text
    assert "--storage" not in text
    assert "resume" not in text


def test_the_summary_names_a_storage_that_is_not_the_default(
    study: Study, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    now = replace(Watch(database, study.config).look(), status="paused")
    print_summary(now, database, "sqlite:///other.db", as_json=False)
    text = capsys.readouterr().out
    assert "hpo resume 'lab [bold]' --storage sqlite:///hpo.db" in text


def test_a_study_of_failures_alone_is_a_failure(
    study: Study, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE trials SET state = 'FAIL'")
    failed = EndedTrial(3, Outcome.DIVERGED, None, 1.0, "the loss is nan")
    now = replace(NOW, status="done", ended=(failed, replace(failed, number=4)))
    assert print_summary(now, database, "sqlite:///hpo.db", as_json=False) == 1
    captured = capsys.readouterr()
    assert "every trial failed; most often: diverged: the loss is nan" in captured.err
    assert "no trial was trained to its end" in captured.out
