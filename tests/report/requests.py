"""A request to a WSGI application without a network."""

from __future__ import annotations

from typing import Any, NamedTuple
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def get(app: WSGIApplication, path: str, method: str = "GET", **environ: str) -> Answer:
    request: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_HOST": "127.0.0.1:8080", **environ}
    setup_testing_defaults(request)
    started: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        started[:] = [int(status.split()[0]), dict(headers)]

    answer = app(request, start)
    try:
        return Answer(*started, b"".join(answer))
    finally:
        getattr(answer, "close", lambda: None)()
