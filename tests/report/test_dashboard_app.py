from __future__ import annotations

import json
from typing import Any
from wsgiref.types import WSGIApplication

import optuna
import pytest

from hpo.errors import StorageUnreachable
from hpo.report import dashboard as app_module
from hpo.report.dashboard import application
from hpo.report.dashboard_sync import sync
from tests.report.requests import get


@pytest.fixture
def app(lab: Any) -> WSGIApplication:
    return application(lab.database, optuna.storages.get_storage(lab.database.optuna_storage))


def test_the_dashboard_is_there(app: WSGIApplication) -> None:
    assert get(app, "/dashboard/studies/1").status == 200
    assert get(app, "/").headers["Location"].endswith("/dashboard")


def test_the_dashboard_gets_notes_figure_and_objective(lab: Any, app: WSGIApplication) -> None:
    sync(lab.database, lab.study_id)
    study = json.loads(get(app, "/api/studies/1").body)
    assert study["objective_names"] == ["query_loss"]
    assert study["note"]["body"].startswith("# few-shot languages")
    assert [plot["id"] for plot in study["plotly_graph_objects"]] == ["adaptation"]
    assert [bool(trial["note"]["body"]) for trial in study["trials"]] == [True] * 8 + [False]


def test_the_curve_of_a_trial(app: WSGIApplication) -> None:
    answer = get(app, "/hpo/adaptation/1/3.svg")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert b"trial 2" in answer.body
    assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_trials_without_a_curve_have_none(lab: Any, app: WSGIApplication) -> None:
    optuna.create_study(study_name="foreign", storage=lab.database.optuna_storage).ask()  # study_id 2, trial_id 10
    for path in ("1/5", "1/9", "1/999", "2/3", "2/10", "7/3", "0/0", "999999999/999999999"):
        assert get(app, f"/hpo/adaptation/{path}.svg").status == 404, path


@pytest.mark.parametrize(
    "path",
    [
        "/hpo/",
        "/hpo/adaptation/1/3",
        "/hpo/adaptation/1/3.svg/",
        "/hpo/adaptation/1/3.png",
        "/hpo/adaptation/-1/3.svg",
        "/hpo/adaptation/1/3.svg\n",
        "/hpo/adaptation/1/99999999999999999999.svg",
        "/hpo/adaptation/١/٣.svg",
        "/hpo/adaptation/../1/3.svg",
        "/hpo/../../etc/passwd",
        "/hpo/adaptation/1/1%20or%201=1.svg",
    ],
)
def test_other_paths_lead_nowhere(app: WSGIApplication, path: str) -> None:
    assert get(app, path).status == 404


def test_a_curve_can_only_be_read(app: WSGIApplication) -> None:
    assert get(app, "/hpo/adaptation/1/3.svg", method="POST").status == 405


def test_a_database_that_is_gone(app: WSGIApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> None:
        raise StorageUnreachable("no answer from the database")

    monkeypatch.setattr(app_module.queries, "trial", gone)
    answer = get(app, "/hpo/adaptation/1/3.svg")
    assert (answer.status, answer.body) == (503, b"no answer from the database\n")


@pytest.mark.parametrize("path", ["/api/studies/1/rename", "/api/studies/1/rename/"])
def test_renaming_is_refused(lab: Any, app: WSGIApplication, path: str) -> None:
    answer = get(app, path, method="POST", CONTENT_TYPE="application/json")
    assert answer.status == 403
    assert "name" in json.loads(answer.body)["reason"]
    assert lab.study().study_name == "few-shot languages"


def test_deleting_a_study_deletes_what_hpo_knows_of_it(lab: Any, app: WSGIApplication) -> None:
    assert get(app, "/api/studies/1", method="DELETE").status == 204
    assert get(app, "/hpo/adaptation/1/3.svg").status == 404
    with lab.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM hpo_adaptation").scalar() == 0
