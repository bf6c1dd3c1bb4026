"""What a verb may not do: run code, leave its folder, show a password, steer a terminal, change things by mistake."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo.config import StudyConfig
from hpo.launch import create_or_resume
from hpo.results.engine import Database, connect
from hpo.study import Study
from tests.cli.conftest import RAW, ended, folder, ok, quiet_optuna, run, write
from tests.results.conftest import sqlite_template

__all__ = [
    "folder",
    "ok",
    "quiet_optuna",
    "run",
    "sqlite_template",
    "write",
]


@pytest.fixture
def database(folder: Path, sqlite_template: Path) -> Iterator[Database]:
    """An empty ``hpo.db`` in the working directory."""
    shutil.copy(sqlite_template, folder / "hpo.db")
    with connect("sqlite:///hpo.db") as opened:
        yield opened


@pytest.fixture
def make_study() -> Callable[..., Study]:
    """A study of two trials: one ok, one that failed for ``reason``."""

    def make(database: Database, name: str = "lab", reason: str = "the loss is nan", **changes: Any) -> Study:
        study = create_or_resume(StudyConfig.from_dict({**RAW, "name": name, **changes}), database)
        for outcome in (ok(0.8), ended(ok(0.8).outcome.DIVERGED, reason)):
            lease = study.lease_trial("worker", "host", "cpu")
            assert lease is not None
            study.finish(lease, outcome)
        return study

    return make
