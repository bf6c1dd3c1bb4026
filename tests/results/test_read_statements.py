"""A read asks the database the same few statements however many trials, studies and workers there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from hpo.results import confirmations, prospects, queries, store
from hpo.results.engine import Database
from tests.results.conftest import Lab

READS: dict[str, Callable[[Database, int], object]] = {
    "best": lambda database, _: queries.best(database, "lab", top=100),
    "confirmed": lambda database, _: confirmations.confirmed(database, queries.study(database, "lab")),
    "count": queries.count,
    "likely best": lambda database, _: queries.likely_best(database, queries.study(database, "lab")),
    "measured peaks": lambda database, study_id: queries.measured_peaks(database, study_id, "cpu"),
    "progress": lambda database, _: queries.progress(database, "lab"),
    "prospects": lambda database, study_id: prospects.prospects(database, study_id, newest=100),
    "recorded trials": queries.recorded_trials,
    "running studies": lambda database, _: queries.running_studies(database),
    "study trials": lambda database, _: queries.study_trials(database, "lab"),
    "summaries": lambda database, _: queries.summaries(database),
    "trained seconds": queries.trained_seconds,
    "trial": lambda database, _: queries.trial(database, "lab", 0),
    "workers": lambda database, _: queries.workers(database),
}


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reads_take_a_constant_number_of_statements(
    lab: Lab, make_lab: Callable[..., Lab], read: Callable[[Database, int], object]
) -> None:
    database, study_id = lab.database, queries.study(lab.database, "lab").study_id
    grow(lab, 1)
    with counted(database) as few:
        read(database, study_id)
    grow(lab, 7)
    for name in ("second", "third"):
        make_lab(database, name).finished(0.5)
    with counted(database) as many:
        read(database, study_id)
    assert few
    assert many == few


def grow(lab: Lab, trials: int) -> None:
    """By so many trials that have ended, as many that run, and their workers."""
    for number in range(trials):
        lab.finished(0.1 * number)
        trial_id, _ = lab.started()
        worker = f"worker-{trial_id}"
        store.heartbeat(lab.database, worker, host="host", pid=trial_id, device="cpu", trial_id=trial_id)
