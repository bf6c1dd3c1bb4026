"""optuna-dashboard on a study database, with hpo's adaptation curves beside it.

/hpo/adaptation/<study_id>/<trial_id>.svg    the adaptation curve of a trial
everything else                              optuna-dashboard
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

import optuna_dashboard
from optuna.storages import BaseStorage

from hpo.errors import InputError, StorageError
from hpo.report import notes
from hpo.report.answers import refuse, respond, say
from hpo.results import queries
from hpo.results.database import Database
from hpo.results.rows import TrialDetail

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_CURVE = re.compile(r"/hpo/adaptation/([0-9]{1,9})/([0-9]{1,9})\.svg", re.ASCII)
_RENAME = re.compile(r"/api/studies/[^/]+/rename/?")
_SAFE_IMAGE = [
    ("Content-Type", "image/svg+xml; charset=utf-8"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "private, max-age=60"),  # a test curve may be added to a trial
]


def application(database: Database, storage: BaseStorage) -> WSGIApplication:
    """The WSGI application; ``storage`` is Optuna's on ``database``, best a caching one.

    The dashboard's renaming is refused: it copies the trials under new ids and deletes the old ones, with everything
    that hpo knows of them.
    """
    dashboard: WSGIApplication = optuna_dashboard.wsgi(storage)

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if _RENAME.fullmatch(path):
            return refuse(start, "a study's results belong to its name: give the config another name and launch it")
        if not path.startswith("/hpo/"):
            return dashboard(environ, start)
        return _image(database, storage, environ, start)

    return answer


def _image(database: Database, storage: BaseStorage, environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
    if environ.get("REQUEST_METHOD") != "GET":
        return say(start, HTTPStatus.METHOD_NOT_ALLOWED, "this address can only be read")
    found = _CURVE.fullmatch(environ.get("PATH_INFO", ""))
    try:
        detail = found and _trial(database, storage, int(found[1]), int(found[2]))
    except StorageError as error:
        return say(start, HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    if not detail or not detail.curves:
        return say(start, HTTPStatus.NOT_FOUND, "there is no adaptation curve at this address")
    from hpo.report.trial_figure import trial_svg  # here: Matplotlib takes half a second

    svg = trial_svg(detail.curves, f"trial {detail.trial.number}", notes.trained_steps(detail.config))
    return respond(start, HTTPStatus.OK, svg, _SAFE_IMAGE)


def _trial(database: Database, storage: BaseStorage, study_id: int, trial_id: int) -> TrialDetail | None:
    try:
        with database.guard():
            name = storage.get_study_name_from_id(study_id)
            number = storage.get_trial_number_from_id(trial_id)
        detail = queries.trial(database, name, number)
    except (KeyError, InputError):  # no such study or trial, or not one of hpo's
        return None
    return detail if detail.trial.trial_id == trial_id else None
