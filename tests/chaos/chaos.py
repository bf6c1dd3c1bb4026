"""A real study whose workers, runners and database are killed, stopped and gone while it runs.

Workers are kept up as a supervisor would: one that dies is started again. What is found afterwards is held against what
must be true whatever happened: see :class:`Findings`.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from sqlalchemy import text

from hpo.config import TrialConfig, load_study_config
from hpo.launch import create_or_resume
from hpo.meta.loop import train
from hpo.records import Report
from hpo.results.engine import Database, connect
from tests.end_to_end.support import CONFIG, Hpo
from tests.postgres import PostgresServer

NAME = "chaos"
LEASE_S = 4.0
ASLEEP_S = 3 * LEASE_S
RETRAINED = 3  # trials, those that were disturbed most
TRAINING = {"meta_batch": 4, "meta_iterations": 800, "eval_tasks": 16, "eval_every": 80}


@dataclass(frozen=True)
class Plan:
    """How many of each, in random order; ``every_s``: mean seconds between two of them."""

    workers: int
    trials: int
    kills: int  # of a worker or a runner, any of them
    naps: int = 0  # SIGSTOP of a worker for longer than its lease
    outages: int = 0  # of the database
    outage_s: float = 20.0
    every_s: float = 1.5
    sampler: str = "random"
    seed: int = 0

    def events(self, rng: random.Random) -> list[str]:
        """What happens, in its order."""
        happen = ["kill"] * self.kills + ["nap"] * self.naps + ["outage"] * self.outages
        return rng.sample(happen, len(happen))


@dataclass(frozen=True)
class Findings:
    """Of a study that is done."""

    states: Counter[str]  # of Optuna's trials
    outcomes: Counter[str]
    numbers: Sequence[int]
    written: Counter[int]  # how often the outcome of each trial was written
    rungs_missing: int  # of trials that are ok: in Optuna's tables or in hpo's
    differing: int  # reported values that an undisturbed training of the same config does not give
    leases: int
    attempts: int
    happened: Counter[str]
    seconds: float

    def problems(self, plan: Plan) -> list[str]:
        """What is not as it must be."""
        wrong = {
            f"states {dict(self.states)}": self.states == {"COMPLETE": plan.trials},
            f"outcomes {dict(self.outcomes)}": self.outcomes == {"ok": plan.trials},
            f"numbers {self.numbers}": list(self.numbers) == list(range(plan.trials)),
            f"results written {self.written.most_common(3)}": sorted(self.written.values()) == [1] * plan.trials,
            f"{self.rungs_missing} rungs missing": self.rungs_missing == 0,
            f"{self.differing} values differ": self.differing == 0,
            f"{self.leases} leases left": self.leases == 0,
            f"only {dict(self.happened)} happened": self.happened == Counter(plan.events(random.Random(plan.seed))),
        }
        return [what for what, fine in wrong.items() if not fine]


@dataclass
class Chaos:
    """Runs once. ``server``: of the storage, where it is one that can be stopped."""

    plan: Plan
    hpo: Hpo
    server: PostgresServer | None = None
    _workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _asleep: deque[tuple[float, int]] = field(default_factory=deque)  # when to wake whom
    _happened: Counter[str] = field(default_factory=Counter)

    def run(self, timeout_s: float) -> Findings:
        """Raises TimeoutError where the study does not come to its end."""
        began, rng = time.monotonic(), random.Random(self.plan.seed)
        self._launch()
        happening = deque(self.plan.events(rng))
        try:
            next_at = time.monotonic()
            while not self._is_done():
                if time.monotonic() - began > timeout_s:
                    raise TimeoutError(f"not done after {timeout_s:.0f} s; {dict(self._happened)}")
                self._wake()
                self._keep_up()
                if happening and time.monotonic() >= next_at and self._happens(happening[0], rng):
                    self._happened[happening.popleft()] += 1
                    next_at = time.monotonic() + rng.expovariate(1 / self.plan.every_s)
                time.sleep(0.1)
        finally:
            self._end()
        return self._findings(time.monotonic() - began)

    def _launch(self) -> None:
        """Creates the study; its own workers are those that are kept up here."""
        config = {**CONFIG, "name": NAME, "training": TRAINING, "sampler": {"kind": self.plan.sampler}}
        config |= {"stop": {"trials": self.plan.trials}}
        config |= {"execution": {"devices": "cpu", "lease_s": LEASE_S, "max_attempts": 1000}}
        path = self.hpo.folder / "chaos.yaml"
        path.write_text(yaml.safe_dump(config))
        with connect(self.hpo.storage, create=True) as database:
            create_or_resume(load_study_config(path), database)
            for statement in _audit(database):
                with database.transaction() as connection:
                    connection.execute(text(statement))

    def _keep_up(self) -> None:
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        while len(self._workers) < self.plan.workers:
            with (self.hpo.folder / "workers.log").open("ab") as log:
                command = [sys.executable, "-m", "hpo.cli.main", "worker", "--study", NAME, "--device", "cpu"]
                self._workers.append(
                    subprocess.Popen(
                        [*command, "--threads", "1"],
                        cwd=self.hpo.folder,
                        env=self.hpo.environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                    )
                )

    def _happens(self, event: str, rng: random.Random) -> bool:
        """False where there is nobody at work to whom it could."""
        if event == "outage":
            assert self.server is not None
            self.server.stop()
            time.sleep(self.plan.outage_s)
            self.server.start()
            return True
        workers = [worker.pid for worker in self._workers if worker.pid not in {pid for _, pid in self._asleep}]
        runners = [pid for worker in workers for pid in _runners(worker)]
        if not runners:  # nothing is at work yet, or not again yet
            return False
        victim = rng.choice(workers + runners if event == "kill" else workers)
        if event == "kill":
            _signal(victim, signal.SIGKILL)
        else:
            _signal(victim, signal.SIGSTOP)
            self._asleep.append((time.monotonic() + ASLEEP_S, victim))
        return True

    def _wake(self, *, all_of_them: bool = False) -> None:
        while self._asleep and (all_of_them or self._asleep[0][0] <= time.monotonic()):
            _signal(self._asleep.popleft()[1], signal.SIGCONT)

    def _is_done(self) -> bool:
        with connect(self.hpo.storage, write=False) as database, database.reading() as connection:
            return connection.scalar(text("SELECT status FROM hpo_study")) == "done" and not self._asleep

    def _end(self) -> None:
        self._wake(all_of_them=True)
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            worker.wait(30)

    def _findings(self, seconds: float) -> Findings:
        with connect(self.hpo.storage, write=False) as database:
            trials = _rows(database, "SELECT * FROM trials LEFT JOIN hpo_trial USING (trial_id)")
            optunas = _curves(database, "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values")
            ours = _curves(database, "SELECT trial_id, meta_iteration, sem FROM hpo_report")
            rungs = set(range(TRAINING["eval_every"], TRAINING["meta_iterations"] + 1, TRAINING["eval_every"]))
            ids = [row["trial_id"] for row in trials]
            disturbed = sorted(trials, key=lambda row: -(row["attempts"] or 0))[:RETRAINED]
            return Findings(
                states=Counter(row["state"] for row in trials),
                outcomes=Counter(str(row["outcome"]) for row in trials),
                numbers=sorted(row["number"] for row in trials),
                written=Counter(row["trial_id"] for row in _rows(database, "SELECT * FROM chaos_written")),
                rungs_missing=sum(len(rungs ^ set(each.get(i, {}))) for i in ids for each in (optunas, ours)),
                differing=sum(optunas[row["trial_id"]] != _undisturbed(row["config"]) for row in disturbed),
                leases=len(_rows(database, "SELECT * FROM hpo_lease")),
                attempts=sum(row["attempts"] for row in trials),
                happened=self._happened,
                seconds=seconds,
            )


def _audit(database: Database) -> Iterator[str]:
    """Statements that have the database itself note each writing of an outcome."""
    yield "CREATE TABLE chaos_written (trial_id integer, token integer)"
    note = "INSERT INTO chaos_written VALUES (NEW.trial_id, NEW.token)"
    on = "AFTER UPDATE OF outcome ON hpo_trial FOR EACH ROW"
    if database.dialect == "sqlite":
        yield f"CREATE TRIGGER chaos_note {on} BEGIN {note}; END"
    else:
        yield f"CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {note}; RETURN NEW; END $$"
        yield f"CREATE TRIGGER chaos_note {on} EXECUTE FUNCTION chaos_note()"


def _rows(database: Database, sql: str) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(text(sql)).mappings()]


def _curves(database: Database, sql: str) -> dict[int, dict[int, float]]:
    found: dict[int, dict[int, float]] = {}
    with database.reading() as connection:
        for trial_id, step, value in connection.execute(text(sql)):
            found.setdefault(trial_id, {})[step] = value
    return found


class _Listening:
    """Events of a training that nobody disturbs."""

    def __init__(self) -> None:
        self.curve: dict[int, float] = {}

    def report(self, report: Report) -> None:
        self.curve[report.meta_iteration] = report.objective.mean

    def checkpointed(self, meta_iteration: int, path: Path) -> None:
        pass

    def interruption(self) -> None:
        pass


def _undisturbed(config: Any) -> dict[int, float]:
    """What the same config reports in one go: on a CPU bit for bit the same."""
    heard = _Listening()
    raw = json.loads(config) if isinstance(config, str) else config  # SQLite has no type for JSON
    train(TrialConfig.from_dict(raw), "cpu", None, heard, threads=1)
    return heard.curve


def _runners(worker: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(worker).children()]
    except psutil.NoSuchProcess:
        return []


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).send_signal(number)
