"""Who may use the dashboard, and for what: WSGI applications around optuna-dashboard's, which asks nobody anything."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hpo.report.answers import refuse, say
from hpo.report.login import require_token

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LOCAL = ("127.0.0.1", "localhost")
# A page of another site whose name was made to point here (DNS rebinding) is told apart by the name that it asks for.
_OWN_NAMES = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?", re.IGNORECASE)
_READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Access:
    """``host``: the address that is served; ``token``: what has to be shown, None only on this machine's own."""

    host: str = LOCAL[0]
    token: str | None = None
    allow_edit: bool = False

    @property
    def is_local(self) -> bool:
        """Whether other machines are kept out by the address alone."""
        return self.host in LOCAL

    @property
    def can_edit(self) -> bool:
        """On this machine as optuna-dashboard's users expect, elsewhere where it was asked for."""
        return self.is_local or self.allow_edit

    def guard(self, application: WSGIApplication) -> WSGIApplication:
        """``application`` for those who may, and nothing that they may not."""
        guarded = from_own_pages(application)
        if not self.can_edit:
            guarded = read_only(guarded)
        if self.token is not None:
            guarded = require_token(guarded, self.token)
        if self.is_local:
            guarded = by_own_names(guarded)
        return unframed(guarded)


def by_own_names(application: WSGIApplication) -> WSGIApplication:
    """Answers only requests to the names that every machine has for itself."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if _OWN_NAMES.fullmatch(environ.get("HTTP_HOST", "")):
            return application(environ, start)
        return say(start, HTTPStatus.FORBIDDEN, "the dashboard answers at http://127.0.0.1 and http://localhost only")

    return answer


def from_own_pages(application: WSGIApplication) -> WSGIApplication:
    """Refuses changes that a page of another site asks for; browsers say where such a request comes from."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        if _reads(environ) or origin is None or urlsplit(origin).netloc == environ.get("HTTP_HOST"):
            return application(environ, start)
        return refuse(start, "a page of another site cannot change anything here")

    return answer


def read_only(application: WSGIApplication) -> WSGIApplication:
    """Refuses everything but reading."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if _reads(environ):
            return application(environ, start)
        return refuse(start, "this dashboard is read-only: start it with  hpo dashboard --allow-edit  to change things")

    return answer


def unframed(application: WSGIApplication) -> WSGIApplication:
    """No page of another site shows these ones inside it, where clicks could be led astray, or learns their address."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start(
                status, [*headers, ("X-Frame-Options", "SAMEORIGIN"), ("Referrer-Policy", "same-origin")], *rest
            )

        return application(environ, started)

    return answer


def _reads(environ: WSGIEnvironment) -> bool:
    return environ.get("REQUEST_METHOD") in _READING
