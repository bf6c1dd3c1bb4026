"""A study with trials of every outcome, as a worker would have recorded it, without training anything."""

from __future__ import annotations

import math
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpo.config import StudyConfig
from hpo.records import AdaptationCurve, CurvePoint, Estimate, Outcome, Report, TrialOutcome
from hpo.results import store
from hpo.results.engine import Database, connect

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch's about itself, through BoTorch
    import optuna_dashboard  # noqa: F401

EVIL = "<img src=x onerror=alert(1)> **bold** [link](javascript:alert(1)) `code` | pipe\\"
CONFIG: dict[str, Any] = {
    "name": "few-shot languages",
    "tasks": {"kind": "language_id", "ways": 5, "shots": 5, "queries": 10},
    "model": {"cell": "lstm", "hidden_size": 64},
    "learner": {"kind": "maml", "order": "second", "inner_steps": 3, "inner_lr": 0.1},
    "training": {"outer_lr": 0.002, "meta_iterations": 300, "eval_tasks": 200},
    "search": {
        "learner.inner_lr": {"type": "float", "low": 0.01, "high": 1.0, "log": True},
        "learner.inner_steps": {"type": "int", "low": 1, "high": 5},
        "model.cell": {"type": "categorical", "choices": ["rnn", "gru", "lstm"]},
        "model.hidden_size": {
            "type": "int",
            "low": 16,
            "high": 128,
            "log": True,
            "when": {"model.cell": ["gru", "lstm"]},
        },
    },
    "stop": {"trials": 24},
}


def curve(loss: float, trained: int = 3, split: str = "validation", accuracy: bool = True) -> AdaptationCurve:
    """From chance down to ``loss`` at ``trained`` steps, and a little further."""
    points = []
    for step in range(2 * trained + 1):
        mean = loss + (1.61 - loss) * (math.exp(-2.0 * step / trained) - math.exp(-2.0)) / (1 - math.exp(-2.0))
        estimate = Estimate(mean=1.0 - mean / 2, sem=0.008) if accuracy else None
        points.append(CurvePoint(inner_step=step, loss=Estimate(mean=mean, sem=0.02), accuracy=estimate))
    return AdaptationCurve(split=split, tasks=200, points=tuple(points))


@dataclass(frozen=True)
class Lab:
    """Writes trials as a worker does."""

    database: Database
    config: StudyConfig
    study_id: int

    def trial(self, outcome: TrialOutcome | None, **fixed: Any) -> int:
        """A trial that ends with ``outcome``; None: it is still running. Its trial_id."""
        study = self.study()
        study.enqueue_trial({"learner.inner_lr": 0.1, "learner.inner_steps": 3, **fixed})
        trial = study.ask()
        params: dict[str, Any] = {
            "learner.inner_lr": trial.suggest_float("learner.inner_lr", 0.01, 1.0, log=True),
            "learner.inner_steps": trial.suggest_int("learner.inner_steps", 1, 5),
            "model.cell": trial.suggest_categorical("model.cell", ["rnn", "gru", "lstm"]),
        }
        trial_id = trial._trial_id
        token = store.begin_trial(
            self.database,
            study_id=self.study_id,
            trial_id=trial_id,
            worker_id="worker",
            lease_s=60.0,
            config=self.config.trial_config(params).to_dict(),
            seed=0,
            host="laptop",
            device="cpu",
        )
        last = outcome.objective.mean if outcome and outcome.objective else 1.2
        for rung in range(1, 4):
            estimate = Estimate(mean=last + 0.3 / rung, sem=0.02)
            store.report(
                self.database, trial_id, token, Report(meta_iteration=50 * rung, objective=estimate, seconds=rung)
            )
        if outcome is not None:
            store.finish(self.database, trial_id, token, outcome)
        return trial_id

    def ok(self, loss: float, trained: int = 3, cell: str = "lstm") -> int:
        outcome = TrialOutcome(
            outcome=Outcome.OK,
            objective=Estimate(mean=loss, sem=0.012),
            meta_iterations=300,
            seconds=12.5,
            peak_memory_bytes=734 * 2**20,
            gradients="accelerated",
            curves=(curve(loss, trained), curve(loss + 0.1, trained, "test")),
        )
        fixed = {"learner.inner_steps": trained, "learner.inner_lr": round(0.02 + loss / 4, 4), "model.cell": cell}
        return self.trial(outcome, **fixed)

    def failed(self, reason: str, outcome: Outcome = Outcome.ERROR) -> int:
        return self.trial(TrialOutcome(outcome=outcome, reason=reason, meta_iterations=20, seconds=1.0))

    def study(self) -> optuna.Study:
        sampler = optuna.samplers.RandomSampler(seed=0)
        return optuna.load_study(study_name=self.config.name, storage=self.database.optuna_storage, sampler=sampler)


def new_lab(database: Database, **changes: Any) -> Lab:
    """A new study without trials."""
    config = StudyConfig.from_dict({**CONFIG, **changes})
    study_id = store.create_study(
        database,
        name=config.name,
        direction=config.objective.direction,
        metric=config.objective.metric,
        config=config.to_dict(),
        config_hash=config.hash,
        code_version="0.1",
    )
    return Lab(database, config, study_id)


def fill(lab: Lab) -> None:
    """Every outcome once or more: trial 2 is the best, trial 4 failed with a reason that tries everything."""
    for loss, trained, cell in ((0.9, 3, "lstm"), (0.75, 4, "gru"), (0.52, 3, "lstm"), (0.68, 5, "lstm")):
        lab.ok(loss, trained, cell)
    lab.failed(EVIL)
    pruned = Estimate(mean=1.4, sem=0.03)
    lab.trial(TrialOutcome(outcome=Outcome.PRUNED, objective=pruned, meta_iterations=150, seconds=5.0))
    lab.failed("the meta-gradient is not finite at meta-iteration 20", Outcome.DIVERGED)
    lab.ok(0.61, 3, "gru")
    lab.trial(None)


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "hpo.db"
    with connect(f"sqlite:///{path}", create=True) as database:
        fill(new_lab(database))
    return path


@pytest.fixture
def database(filled_file: Path, tmp_path: Path) -> Iterator[Database]:
    """With the filled study, in an SQLite file of this test's own."""
    shutil.copy(filled_file, tmp_path / "hpo.db")
    with connect(f"sqlite:///{tmp_path / 'hpo.db'}") as opened:
        yield opened


@pytest.fixture
def lab(database: Database) -> Lab:
    return Lab(database, StudyConfig.from_dict(CONFIG), 1)


@pytest.fixture
def empty_lab(sqlite_url: str) -> Iterator[Lab]:
    with connect(sqlite_url, create=True) as database:
        yield new_lab(database)


@pytest.fixture
def make_lab() -> Callable[..., Lab]:
    return new_lab
