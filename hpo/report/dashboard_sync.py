"""Keeps what optuna-dashboard shows of a study up to date: a note a trial, the study's note and its figure.

They lie in Optuna's system attributes of the study, where any optuna-dashboard finds them. What a person has edited in
the dashboard is never overwritten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage

from hpo.records import Estimate
from hpo.report import attributes, notes
from hpo.report.curves import RankedCurve
from hpo.report.study_figure import SHOWN_TRIALS, study_figure
from hpo.report.verdicts import Verdicts
from hpo.results import queries
from hpo.results.database import Database
from hpo.results.rows import BestRow, StudyRow, TrialDetail

# The dashboard loads every note with the study and searches all of them for each trial: with a note for each of 3,000
# trials a page takes 8 s, with 1,000 notes 3 s. Further trials get a note only if they are among the best.
MAX_NOTES = 1000
FIGURE_ID = "adaptation"
_WRITTEN = "hpo:dashboard"  # system attribute: digests of the study's note and figure as hpo has written them last


def sync(database: Database, study_id: int) -> int:
    """Brings a study's notes and figure up to date once; the number of trial notes written.

    Raises StorageError, and StudyNotFound where there is no such study or hpo has not made it.
    """
    return StudyPages(database, study_id, optuna.storages.get_storage(database.optuna_storage)).refresh()


class StudyPages:
    """One study's notes and figure; remembers which trials have a note, so that a refresh reads only what is new."""

    def __init__(self, database: Database, study_id: int, storage: BaseStorage) -> None:
        """``storage`` is Optuna's on ``database``, best a caching one that is shared with the dashboard."""
        self._database = database
        self._study_id = study_id
        self._storage = storage
        self._noted: set[int] | None = None  # trial_ids; None: not read yet

    def refresh(self) -> int:
        """Writes what is missing or outdated; the number of trial notes written. Raises as :func:`sync`."""
        with self._database.guard():
            row = self._row()
            top = queries.best(self._database, row.name, SHOWN_TRIALS)
            written = self._write_trial_notes(row, {best.trial_id for best in top})
            self._write_study(row, top)
        return written

    def _row(self) -> StudyRow:
        try:
            name = self._storage.get_study_name_from_id(self._study_id)
        except KeyError:
            name = ""  # deleted: StudyNotFound says which studies there are
        return queries.study(self._database, name)

    def _write_trial_notes(self, row: StudyRow, best: set[int]) -> int:
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        if self._noted is None:
            present = self._storage.get_study_system_attrs(self._study_id)
            ids = (trial._trial_id for trial in trials)
            self._noted = {trial_id for trial_id in ids if attributes.note_version_key(trial_id) in present}
        written = 0
        for trial in trials:
            wanted = len(self._noted) < MAX_NOTES or trial._trial_id in best
            if trial.state.is_finished() and trial._trial_id not in self._noted and wanted:
                note = notes.trial_note(queries.trial(self._database, row.name, trial.number), row.metric)
                self._write(attributes.note(note, {}, trial._trial_id))
                self._noted.add(trial._trial_id)
                written += 1
        return written

    def _write_study(self, row: StudyRow, top: Sequence[BestRow]) -> None:
        present = self._storage.get_study_system_attrs(self._study_id)
        before: Mapping[str, str] = present.get(_WRITTEN, {})
        now = dict(before)
        note = notes.study_note(row, Verdicts.of(self._database, row).sentences())
        edited = (shown := attributes.read_note(present)) and _digest(shown) != before.get("note")
        if not edited and shown != note:
            self._write(attributes.note(note, present))
            now["note"] = _digest(note)
        ranking = _digest([(best.number, best.value) for best in top])
        if before.get("figure") != ranking and (ranked := self._ranked(row, top)):
            self._write(attributes.figure(FIGURE_ID, study_figure(ranked, row.metric).to_json(), present))
            now["figure"] = ranking
        if now != before:
            self._write({_WRITTEN: now})

    def _write(self, changed: Mapping[str, Any]) -> None:
        for key, value in changed.items():
            self._storage.set_study_system_attr(self._study_id, key, value)

    def _ranked(self, row: StudyRow, top: Sequence[BestRow]) -> list[RankedCurve]:
        details = [queries.trial(self._database, row.name, best.number) for best in top]
        return [_ranked_curve(detail) for detail in details if detail.curves and detail.trial.value is not None]


def _ranked_curve(detail: TrialDetail) -> RankedCurve:
    return RankedCurve(
        number=detail.trial.number,
        objective=Estimate(mean=detail.trial.value or 0.0, sem=detail.trial.sem or 0.0),
        curve=detail.curves[0],
        trained_steps=notes.trained_steps(detail.config),
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
