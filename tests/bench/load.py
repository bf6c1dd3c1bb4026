"""Many workers with trials that cost nothing: ``python -m tests.bench.load`` (minutes).

Processes ask, report and tell as fast as they can, ours by a worker's own calls (``Study.lease_trial``, ``report``,
``finish``), Optuna's through ``study.optimize``, each with random suggestions, on the same database server or file.
What a trial costs is then what its bookkeeping does. Ours also leases each trial, and is exact: the count is checked,
and so is that no suggestion came twice.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy import text

from hpo.config import StudyConfig
from hpo.launch import create_or_resume
from hpo.records import Estimate, Outcome, Report, TrialOutcome
from hpo.results import queries
from hpo.results.engine import connect
from hpo.study import Study
from tests.end_to_end.support import CONFIG
from tests.postgres import running_server

NAME = "load"
WORKERS = {"postgresql": 64, "sqlite": 16}
ESTIMATE = Estimate(mean=0.5, sem=0.1)
REPORT = Report(meta_iteration=2, objective=ESTIMATE, seconds=1.0)
OK = TrialOutcome(outcome=Outcome.OK, objective=ESTIMATE, meta_iterations=6, seconds=1.0)


def ours(url: str, worker: int) -> None:
    """One worker, until the study is done."""
    with connect(url) as database:
        study = Study.of(database, queries.study(database, NAME), worker_seed=worker)
        while (lease := study.lease_trial(f"worker-{worker}", "host", "cpu")) is not None or not study.is_done():
            if lease is not None:
                study.report(lease, REPORT)
                study.finish(lease, OK)


def optunas(url: str, worker: int, trials: int) -> None:
    """One worker of Optuna's, which has to be told how many trials there are to be."""
    sampler = optuna.samplers.RandomSampler(seed=worker)
    study = optuna.load_study(study_name=NAME, storage=of_optuna(url), sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("learner.inner_lr", 0.001, 0.5, log=True)
        trial.suggest_categorical("model.cell", ["rnn", "gru", "lstm"])
        trial.suggest_int("model.hidden_size", 2, 6)
        trial.report(ESTIMATE.mean, 2)
        return ESTIMATE.mean

    study.optimize(objective, callbacks=[optuna.study.MaxTrialsCallback(trials, states=None)])


def of_optuna(url: str) -> str:
    """The same storage, as Optuna's URLs name the driver."""
    return url.replace("postgresql://", "postgresql+psycopg://")


def _process(run: Callable[..., None], errors: Any, *arguments: Any) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        run(*arguments)
    except Exception as error:  # whatever it is, it is what is looked for
        errors.put(f"{type(error).__name__}: {error}")


def seconds(run: Callable[..., None], workers: int, *arguments: Any) -> tuple[float, list[str]]:
    """Until all have ended, and what they raised. Forked, as 64 processes with imports of their own take 24 GB."""
    context = get_context("fork")
    errors = context.SimpleQueue()
    processes = [
        context.Process(target=_process, args=(run, errors, arguments[0], k, *arguments[1:])) for k in range(workers)
    ]
    began = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    took, raised = time.perf_counter() - began, []
    while not errors.empty():
        raised.append(errors.get())
    return took, raised


def found(url: str) -> dict[str, Any]:
    """What is in the database afterwards."""
    with connect(url, write=False, check_schema=False) as database, database.reading() as connection:
        states = connection.execute(text("SELECT state, count(*) FROM trials GROUP BY state")).all()
        rows = connection.execute(text("SELECT trial_id, param_name, param_value FROM trial_params")).all()
    params: dict[int, dict[str, float]] = {}
    for trial_id, name, value in rows:
        params.setdefault(trial_id, {})[name] = value
    return {
        "trials": dict(states),
        "duplicates": len(params) - len({tuple(sorted(one.items())) for one in params.values()}),
    }


def measure(url: Callable[[str], str], workers: int, trials: int) -> dict[str, Any]:
    """Both, one after the other, in databases of their own."""
    config = StudyConfig.from_dict({**CONFIG, "name": NAME, "sampler": {"kind": "random"}, "stop": {"trials": trials}})
    with connect(url("ours"), create=True) as database:
        create_or_resume(config, database)
    took, errors = seconds(ours, workers, url("ours"))
    rows = {"ours": {"trials a second": trials / took, "errors": errors, **found(url("ours"))}}
    storage = optuna.storages.RDBStorage(of_optuna(url("optunas")))
    optuna.create_study(study_name=NAME, storage=storage)
    storage.engine.dispose()  # a connection is not to be forked
    took, errors = seconds(optunas, workers, url("optunas"), trials)
    counted = found(url("optunas"))
    rate = sum(counted["trials"].values()) / took
    rows["optuna"] = {"trials a second": rate, "errors": errors, **counted}
    return rows


@contextmanager
def databases(kind: str) -> Iterator[Callable[[str], str]]:
    """URLs of empty ones, by name."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield lambda name: f"sqlite:///{Path(folder) / name}.db"
        return
    with running_server(durable=True) as server:
        server.execute("ALTER SYSTEM SET max_connections = 300", "CREATE DATABASE ours", "CREATE DATABASE optunas")
        server.stop()
        server.start()
        yield server.url


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load", description=__doc__.split("\n\n")[0])
    parser.add_argument("--on", nargs="+", choices=WORKERS, default=list(WORKERS))
    parser.add_argument("--workers", type=int)
    parser.add_argument("--trials", type=int, default=2000)
    options = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    os.environ["OMP_NUM_THREADS"] = "1"
    results = {}
    for kind in options.on:
        with databases(kind) as url:
            results[kind] = measure(url, options.workers or WORKERS[kind], options.trials)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
