"""The command line in this process, in an empty folder, and a small study to read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from click.testing import CliRunner, Result

from hpo.cli.main import cli
from hpo.config import StudyConfig
from hpo.launch import create_or_resume
from hpo.records import AdaptationCurve, CurvePoint, Estimate, Outcome, Report, TrialOutcome
from hpo.results import queries, store
from hpo.results.engine import Database, connect
from hpo.study import Study

RAW: dict[str, Any] = {
    "name": "lab [bold]",  # markup characters: they are to be shown as they are
    "tasks": {"kind": "sinusoid", "shots": 3, "queries": 3, "window": 4},
    "model": {"cell": "gru", "hidden_size": 4},
    "learner": {"kind": "maml", "inner_steps": 1, "inner_lr": 0.05},
    "training": {"meta_batch": 2, "meta_iterations": 4, "eval_tasks": 4, "eval_every": 2, "test_tasks": 6},
    "search": {"learner.inner_lr": {"type": "float", "low": 0.001, "high": 0.5, "log": True}},
    "sampler": {"kind": "random"},
    "pruner": {"kind": "none"},
    "stop": {"trials": 6},
    "execution": {"devices": "cpu"},
}


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty working directory, with no setting from outside."""
    for name in ("HPO_STORAGE", "HPO_HOME", "HPO_DEBUG", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Run = Callable[..., Result]


@pytest.fixture
def run(folder: Path) -> Run:
    """``run("best", "lab")``: the result has stdout, stderr and exit_code."""

    def invoke(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, list(arguments), prog_name="hpo")
        assert result.exit_code == code, f"{result.exit_code}: {result.output}\n{result.exception!r}"
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """``write(stop={"trials": 2})``: RAW with sections changed or, where None, left out."""

    def to_file(file: str = "study.yaml", **changes: Any) -> Path:
        raw = {key: value for key, value in {**RAW, **changes}.items() if value is not None}
        (folder / file).write_text(yaml.safe_dump(raw))
        return Path(file)

    return to_file


@pytest.fixture(scope="session")
def empty_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without a study; made once, because its tables take a second."""
    path = tmp_path_factory.mktemp("empty") / "hpo.db"
    connect(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture(scope="session")
def lab_template(empty_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "hpo.db"
    shutil.copy(empty_template, path)
    with connect(f"sqlite:///{path}") as opened:
        make_lab(opened)
    return path


@pytest.fixture
def database(folder: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """``hpo.db`` in the working directory: with the study where the test asks for that, else empty."""
    template = "lab_template" if "study" in request.fixturenames else "empty_template"
    shutil.copy(request.getfixturevalue(template), folder / "hpo.db")
    with connect("sqlite:///hpo.db") as opened:
        yield opened


def curve(loss: float) -> AdaptationCurve:
    points = tuple(
        CurvePoint(
            inner_step=step, loss=Estimate(mean=loss + 1 - step, sem=0.05), accuracy=Estimate(mean=0.5, sem=0.01)
        )
        for step in range(2)
    )
    return AdaptationCurve(split="validation", tasks=4, points=points)


def ok(loss: float) -> TrialOutcome:
    return TrialOutcome(
        outcome=Outcome.OK,
        objective=Estimate(mean=loss, sem=0.0123),
        meta_iterations=4,
        seconds=34.0,
        peak_memory_bytes=3 * 2**30,
        meta_parameters=6789,
        gradients="accelerated",
        curves=(curve(loss),),
    )


def ended(outcome: Outcome, reason: str) -> TrialOutcome:
    return TrialOutcome(outcome=outcome, reason=reason, meta_iterations=2, seconds=5.0)


OUTCOMES = (
    ok(0.80),
    ok(0.79),
    ended(Outcome.PRUNED, "not among the best third at meta-iteration 2"),
    ended(Outcome.DIVERGED, "meta-iteration 3: the loss is nan [/red]"),
)


@pytest.fixture
def study(database: Database) -> Study:
    """Trials 0 and 1 ok, of which 0 is the likely and 1 the luckiest best; 2 pruned, 3 diverged, 4 running."""
    return Study.of(database, queries.study(database, RAW["name"]))


def make_lab(database: Database) -> None:
    made = create_or_resume(StudyConfig.from_dict(RAW), database)
    for outcome in OUTCOMES:
        lease = made.lease_trial("worker-of-the-past", "host-1", "cpu")
        assert lease is not None
        made.report(lease, Report(meta_iteration=2, objective=Estimate(mean=1.5, sem=0.1), seconds=2.0))
        made.finish(lease, outcome)
    running = made.lease_trial("worker-of-now", "host-1", "cuda:0")
    assert running is not None
    made.report(running, Report(meta_iteration=2, objective=Estimate(mean=1.25, sem=0.1), seconds=2.0))
    posterior = {0: Estimate(mean=0.795, sem=0.01), 1: Estimate(mean=0.81, sem=0.01)}
    store.set_posterior(database, made.study_id, posterior)


def as_json(result: Result) -> Any:
    return json.loads(result.stdout)
