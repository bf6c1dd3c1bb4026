"""A database with hpo's tables of each kind in turn, copied from one that is made once; and a study to play with."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import text

from hpo.records import AdaptationCurve, CurvePoint, Estimate, Outcome, Report, TrialOutcome
from hpo.results import store
from hpo.results.engine import Database, connect

CONFIG: dict[str, Any] = {"model": {"cell": "lstm", "hidden_size": 64}, "training": {"outer_lr": 0.002}}


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "hpo.db"
    connect(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Any) -> str:
    postgres_server.execute("CREATE DATABASE template_hpo")
    connect(postgres_server.url("template_hpo"), create=True).close()
    return "template_hpo"


@pytest.fixture
def sqlite_made_url(sqlite_template: Path, tmp_path: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "hpo.db")
    return f"sqlite:///{tmp_path / 'hpo.db'}"


@pytest.fixture(scope="module")
def sqlite_shared_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for the tests of a module."""
    path = tmp_path_factory.mktemp("shared") / "hpo.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def postgres_shared_url(postgres_template: str, postgres_server: Any) -> Iterator[str]:
    yield from _copied(postgres_template, postgres_server)


@pytest.fixture
def postgres_made_url(postgres_template: str, postgres_server: Any) -> Iterator[str]:
    yield from _copied(postgres_template, postgres_server)


def _copied(template: str, server: Any) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def made_url(request: pytest.FixtureRequest) -> str:
    """A database with tables and no study."""
    url: str = request.getfixturevalue(f"{request.param}_made_url")
    return url


@pytest.fixture
def database(made_url: str) -> Iterator[Database]:
    with connect(made_url) as opened:
        yield opened


@dataclass(frozen=True)
class Lab:
    """A study named ``lab`` and short cuts to what a worker does with it."""

    database: Database
    study_id: int
    optuna_study: optuna.Study

    def ask(self, lr: float = 0.1) -> int:
        """A new RUNNING trial with one parameter, not begun; its trial_id."""
        storage = self.database.optuna_storage  # study.ask() would take up a trial that was let go
        trial_id = storage.create_new_trial(self.study_id)
        storage.set_trial_param(trial_id, "lr", lr, optuna.distributions.FloatDistribution(1e-4, 1.0, log=True))
        return trial_id

    def begin(self, trial_id: int, worker: str = "worker", lease_s: float = 60.0) -> int:
        return store.begin_trial(
            self.database,
            study_id=self.study_id,
            trial_id=trial_id,
            worker_id=worker,
            lease_s=lease_s,
            config=CONFIG,
            seed=7,
            host="host",
            device="cpu",
        )

    def started(self, worker: str = "worker") -> tuple[int, int]:
        """trial_id and token of a new trial that ``worker`` trains."""
        trial_id = self.ask()
        return trial_id, self.begin(trial_id, worker)

    def finished(self, mean: float, sem: float = 0.01) -> int:
        trial_id, token = self.started()
        store.finish(self.database, trial_id, token, ok(mean, sem))
        return trial_id

    def expire(self, trial_id: int) -> None:
        """As if the lease had not been renewed for long."""
        with self.database.transaction() as connection:
            connection.execute(text("UPDATE hpo_lease SET expires = 0 WHERE trial_id = :id"), {"id": trial_id})

    def rows(self, sql: str, **values: object) -> list[dict[str, Any]]:
        with self.database.reading() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All that is stored, to see that nothing has changed."""
        tables = (
            "studies trials trial_values trial_intermediate_values trial_user_attributes"
            " hpo_study hpo_trial hpo_report hpo_adaptation hpo_lease"
        )
        return {
            name: sorted(self.rows(f"SELECT * FROM {name}"), key=lambda row: str(list(row.values())))
            for name in tables.split()
        }


def ok(mean: float = 0.5, sem: float = 0.01) -> TrialOutcome:
    points = (
        CurvePoint(inner_step=0, loss=Estimate(mean=1.6, sem=0.02), accuracy=Estimate(mean=0.2, sem=0.01)),
        CurvePoint(inner_step=1, loss=Estimate(mean=mean, sem=sem)),
    )
    return TrialOutcome(
        outcome=Outcome.OK,
        objective=Estimate(mean=mean, sem=sem),
        meta_iterations=300,
        seconds=12.5,
        peak_memory_bytes=5_000_000_000,
        meta_parameters=6789,
        gradients="recurrences",
        curves=(AdaptationCurve(split="validation", tasks=200, points=points),),
    )


def rung(step: int = 50, mean: float = 1.0, sem: float = 0.1) -> Report:
    return Report(meta_iteration=step, objective=Estimate(mean=mean, sem=sem), seconds=step / 10)


@pytest.fixture(scope="session")
def make_lab() -> Callable[..., Lab]:
    def make(database: Database, name: str = "lab", direction: str = "minimize") -> Lab:
        study_id = store.create_study(
            database,
            name=name,
            direction=direction,
            metric="query_loss",
            config=CONFIG,
            config_hash="h1",
            code_version="0.1",
        )
        sampler = optuna.samplers.RandomSampler(seed=0)
        return Lab(
            database, study_id, optuna.load_study(study_name=name, storage=database.optuna_storage, sampler=sampler)
        )

    return make


@pytest.fixture
def lab(database: Database, make_lab: Callable[..., Lab]) -> Lab:
    return make_lab(database)
