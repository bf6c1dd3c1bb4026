"""What the dashboard's own pages are answered with."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

Headers = list[tuple[str, str]]
_TEXT = ("Content-Type", "text/plain; charset=utf-8")
_JSON = ("Content-Type", "application/json")


def respond(start: StartResponse, status: HTTPStatus, body: bytes, headers: Headers) -> list[bytes]:
    """The whole answer."""
    start(f"{status.value} {status.phrase}", [*headers, ("Content-Length", str(len(body)))])
    return [body]


def say(start: StartResponse, status: HTTPStatus, message: str) -> list[bytes]:
    """A sentence for whoever typed the address."""
    return respond(start, status, f"{message}\n".encode(), [_TEXT])


def refuse(start: StartResponse, reason: str) -> list[bytes]:
    """403 as optuna-dashboard's pages show it."""
    return respond(start, HTTPStatus.FORBIDDEN, json.dumps({"reason": reason}).encode(), [_JSON])
