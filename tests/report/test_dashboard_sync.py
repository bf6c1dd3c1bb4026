from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import optuna_dashboard
import pytest
from sqlalchemy import event

from hpo.config import StudyConfig
from hpo.errors import StudyNotFound
from hpo.report import dashboard_sync
from hpo.report.dashboard_sync import FIGURE_ID, StudyPages, sync
from hpo.results import queries, store
from hpo.results.engine import connect

ENDED = 8  # of the filled study's nine trials one is running


def attributes(lab: Any) -> dict[str, Any]:
    found: dict[str, Any] = lab.database.optuna_storage.get_study_system_attrs(lab.study_id)
    return found


def note(lab: Any, number: int) -> str:
    study = lab.study()
    trial_id = lab.database.optuna_storage.get_trial_id_from_study_id_trial_number(lab.study_id, number)
    text: str = optuna_dashboard.get_note(optuna.trial.Trial(study, trial_id))
    return text


def figure(lab: Any) -> str:
    parts = {key: value for key, value in attributes(lab).items() if f"plot_data:{FIGURE_ID}:" in key}
    return "".join(parts[key] for key in sorted(parts, key=lambda key: int(key.rpartition(":")[2])))


def test_every_ended_trial_gets_a_note(lab: Any) -> None:
    assert sync(lab.database, lab.study_id) == ENDED
    assert "| outcome | **ok** |" in note(lab, 2)
    assert "| outcome | **diverged** |" in note(lab, 6)
    assert "| outcome | **pruned** |" in note(lab, 5)
    assert note(lab, 8) == ""  # still running


def test_the_study_gets_a_note_and_a_figure(lab: Any) -> None:
    sync(lab.database, lab.study_id)
    assert optuna_dashboard.get_note(lab.study()).startswith("# few-shot languages")
    assert "trial 2: 0.520 ± 0.012 (likely best)" in figure(lab).encode().decode("unicode_escape")


def test_the_objective_is_named(lab: Any) -> None:
    assert lab.study().metric_names == ["query_loss"]


def test_again_changes_nothing(lab: Any) -> None:
    sync(lab.database, lab.study_id)
    before = attributes(lab)
    written: list[str] = []

    @event.listens_for(lab.database.engine, "before_cursor_execute")
    def note_writes(_: Any, __: Any, statement: str, *___: Any) -> None:
        written.extend([statement] if statement.startswith(("INSERT", "UPDATE", "DELETE")) else [])

    assert sync(lab.database, lab.study_id) == 0
    assert written == []
    assert attributes(lab) == before


def test_only_what_is_new_is_written(lab: Any) -> None:
    pages = StudyPages(lab.database, lab.study_id, optuna.storages.get_storage(lab.database.optuna_storage))
    assert pages.refresh() == ENDED
    before = attributes(lab)
    lab.failed("out of luck")
    assert pages.refresh() == 1
    changed = {key for key, value in attributes(lab).items() if before.get(key) != value}
    assert changed == {"dashboard:10:note_str:0", "dashboard:10:note_ver"}
    assert "out of luck" in note(lab, 9)


def test_a_better_trial_comes_into_the_figure(lab: Any) -> None:
    sync(lab.database, lab.study_id)
    before = figure(lab)
    lab.ok(0.4)
    sync(lab.database, lab.study_id)
    assert figure(lab) != before
    assert "trial 9: 0.400" in figure(lab)


def test_what_a_person_wrote_is_kept(lab: Any) -> None:
    study = lab.study()
    optuna_dashboard.save_note(optuna.trial.Trial(study, 3), "mine")
    sync(lab.database, lab.study_id)
    optuna_dashboard.save_note(study, "my study")
    _raise_trials(lab)
    lab.ok(0.45)
    sync(lab.database, lab.study_id)
    assert note(lab, 2) == "mine"
    assert optuna_dashboard.get_note(study) == "my study"


def test_the_note_of_the_study_follows_its_config(lab: Any) -> None:
    sync(lab.database, lab.study_id)
    _raise_trials(lab)
    sync(lab.database, lab.study_id)
    assert "| trials | 99 of" in optuna_dashboard.get_note(lab.study())


def _raise_trials(lab: Any) -> None:
    config = StudyConfig.from_dict({**lab.config.to_dict(), "stop": {"trials": 99}})
    store.update_study_config(lab.database, lab.study_id, config.to_dict(), config.hash)


def test_a_half_written_note_is_written_again(lab: Any) -> None:
    """A process may end between a note's text and its version."""
    lab.database.optuna_storage.set_study_system_attr(lab.study_id, "dashboard:3:note_str:0", "half a no")
    assert sync(lab.database, lab.study_id) == ENDED
    assert note(lab, 2).startswith("| outcome")


def test_in_a_large_study_only_the_best_get_further_notes(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_sync, "MAX_NOTES", ENDED)
    sync(lab.database, lab.study_id)
    lab.failed("not among the best")
    lab.ok(0.3)
    assert sync(lab.database, lab.study_id) == 1
    assert note(lab, 9) == ""
    assert "0.300" in note(lab, 10)


def test_a_study_without_trials(empty_lab: Any) -> None:
    assert sync(empty_lab.database, empty_lab.study_id) == 0
    assert optuna_dashboard.get_note(empty_lab.study())
    assert figure(empty_lab) == ""


@pytest.mark.parametrize("study_id", [2, 99])
def test_a_study_that_is_not_there(lab: Any, study_id: int) -> None:
    optuna.create_study(study_name="foreign", storage=lab.database.optuna_storage)  # study_id 2, not made by hpo
    with pytest.raises(StudyNotFound):
        sync(lab.database, study_id)


def test_on_both_databases(storage_url: str, make_lab: Callable[..., Any]) -> None:
    with connect(storage_url, create=True) as database:
        lab = make_lab(database)
        lab.ok(0.5)
        lab.failed("kaputt")
        assert sync(database, lab.study_id) == 2
        assert "kaputt" in note(lab, 1)
        assert "trial 0" in figure(lab)
        assert queries.best(database, lab.config.name, 1)[0].number == 0
