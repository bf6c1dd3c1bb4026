"""A study of 20,000 trials: ``python -m tests.bench.large`` (minutes).

Seconds of whole processes, as a user waits for them: a new worker's first suggestion with the random sampler, ``hpo
status`` and ``hpo best``; beside them Optuna's ``study.ask`` and ``study.best_trial`` on the same study.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from optuna.storages._rdb import models
from sqlalchemy import Connection, insert, text

from hpo.config import StudyConfig
from hpo.launch import create_or_resume
from hpo.results.engine import connect
from hpo.results.schema import hpo_adaptation, hpo_report, hpo_trial
from hpo.results.store.params import param_rows
from hpo.sampler import distributions
from hpo.study import Study
from tests.bench.load import NAME, databases, of_optuna
from tests.end_to_end.support import CONFIG

AT_ONCE = 1000
FIRST_SUGGESTION = f"""
import os
from hpo.results import queries
from hpo.results.engine import connect
from hpo.study import Study
with connect(os.environ["HPO_STORAGE"]) as database:
    study = Study.of(database, queries.study(database, "{NAME}"))
    study.release(study.lease_trial("w", "host", "cpu"), interrupted=True)
"""
OPTUNA = f"""
import os, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
sampler = optuna.samplers.RandomSampler()
study = optuna.load_study(study_name="{NAME}", storage=os.environ["OPTUNA_STORAGE"], sampler=sampler)
"""
ASK = "study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)"
COMMANDS = {
    "ours: first suggestion": ["-c", FIRST_SUGGESTION],
    "ours: hpo status": ["-m", "hpo.cli.main", "status", NAME],
    "ours: hpo best": ["-m", "hpo.cli.main", "best", NAME],
    "optuna: load_study, ask": ["-c", OPTUNA + ASK],
    "optuna: load_study, best_trial": ["-c", OPTUNA + "study.best_trial"],
}


def fill(url: str, count: int) -> None:
    """A study with so many finished trials, each with two rungs and an adaptation curve, and room for more."""
    config = {**CONFIG, "name": NAME, "sampler": {"kind": "random"}, "stop": {"trials": 2 * count}}
    with connect(url, create=True) as database:
        study = create_or_resume(StudyConfig.from_dict(config), database)
        with database.transaction() as connection:
            for first in range(0, count, AT_ONCE):
                _add(connection, study, range(first, min(first + AT_ONCE, count)))
            if database.dialect == "postgresql":
                connection.execute(
                    text("SELECT setval(pg_get_serial_sequence('trials', 'trial_id'), :n)"), {"n": count}
                )
                connection.execute(text("ANALYZE"))


def _add(connection: Connection, study: Study, numbers: range) -> None:
    rng, began = np.random.default_rng(numbers.start), datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    rows: dict[object, list[dict[str, object]]] = {}
    whole = study.config.trial_config({}).to_dict()  # as long as each one's own, which takes a millisecond to make

    def add(table: object, **row: object) -> None:
        rows.setdefault(table, []).append(row)

    for number in numbers:
        one, value = number + 1, float(rng.uniform(0.5, 2.0))
        params = study.space.decode(rng.random(len(study.space)))
        at = {
            "datetime_start": began + timedelta(minutes=number),
            "datetime_complete": began + timedelta(minutes=number + 1),
        }
        add(models.TrialModel, trial_id=one, number=number, study_id=study.study_id, state="COMPLETE", **at)
        add(models.TrialValueModel, trial_id=one, objective=0, value=value, value_type="FINITE")
        rows.setdefault(models.TrialParamModel, []).extend(param_rows(one, params, distributions(study.space)))
        measured = {"objective_mean": value, "objective_sem": 0.01, "meta_iterations": 6, "seconds": 60.0}
        here = {"host": "host", "device": "cpu", "attempts": 1, "outcome": "ok", "seed": 0}
        add(hpo_trial, trial_id=one, study_id=study.study_id, config=whole, **measured, **here)
        for rung in (2, 4):
            add(
                models.TrialIntermediateValueModel,
                trial_id=one,
                step=rung,
                intermediate_value=value,
                intermediate_value_type="FINITE",
            )
            add(hpo_report, trial_id=one, meta_iteration=rung, sem=0.01, seconds=10.0 * rung)
        for step in range(3):
            add(hpo_adaptation, trial_id=one, split="validation", inner_step=step, loss=value, loss_sem=0.01, tasks=8)
    for table, of_table in rows.items():
        connection.execute(insert(table), of_table)  # type: ignore[arg-type]


def seconds(command: Sequence[str], url: str, runs: int) -> float:
    """The median of so many processes."""
    environment = {**os.environ, "HPO_STORAGE": url, "OPTUNA_STORAGE": of_optuna(url)}
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, *command], env=environment, capture_output=True, check=True)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.large", description=__doc__.split("\n\n")[0])
    parser.add_argument("--on", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(arguments)
    found = {}
    for kind in options.on:
        with databases(kind) as url:
            fill(url("ours"), options.trials)
            found[kind] = {name: seconds(command, url("ours"), options.runs) for name, command in COMMANDS.items()}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
