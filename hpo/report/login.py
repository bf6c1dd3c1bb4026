"""A token before everything else: typed into a page, in the link that the terminal shows, or sent by a program.

Whoever has shown it gets a cookie, which is not the token: no page's script sees it, no other site's request carries
it, and it is worth nothing once this process has ended.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, quote, urlencode

from hpo.report.answers import Headers, respond, say

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_LONGEST_FORM = 4096  # bytes that are read of somebody who is not known yet
_FORM = "application/x-www-form-urlencoded"
_NOT_KEPT = ("Cache-Control", "no-store")
_PAGE_HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
    _NOT_KEPT,
]
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>hpo dashboard</title>
<style>
body {{ font: 16px system-ui, sans-serif; max-width: 26em; margin: 15vh auto; padding: 0 1em; color: #222; }}
input, button {{ font: inherit; padding: .5em .7em; box-sizing: border-box; width: 100%; margin-top: .7em; }}
.wrong {{ color: #b00020; }}
</style>
</head>
<body>
<h1>hpo dashboard</h1>
<form method="post">
<label for="token">The token is in the terminal that started it, or in its HPO_DASHBOARD_TOKEN.</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form>
{message}</body>
</html>
"""
_WRONG = '<p class="wrong">This is not the token.</p>\n'


def require_token(application: WSGIApplication, token: str) -> WSGIApplication:
    """``application`` for those who show ``token``."""
    key = _Key(token)

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if key.admits(environ):
            return application(environ, start) if _in_link(environ) is None else _logged_in(environ, start, key)
        if (guess := _guess(environ)) is None:
            return _ask(environ, start)
        return _logged_in(environ, start, key) if key.fits(guess) else _login_page(start, _WRONG)

    return answer


class _Key:
    """What tells who has shown the token; all comparisons take the same time, however much of a guess is right."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._session = hmac.digest(secrets.token_bytes(32), self._token, hashlib.sha256).hex()

    def fits(self, guess: str) -> bool:
        return hmac.compare_digest(guess.encode(errors="replace"), self._token)

    def admits(self, environ: WSGIEnvironment) -> bool:
        scheme, _, sent = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "bearer" and self.fits(sent.strip()):
            return True
        return hmac.compare_digest(_sent_cookie(environ).encode(errors="replace"), self._session.encode())

    def cookie(self, environ: WSGIEnvironment) -> str:
        return f"{_cookie_name(environ)}={self._session}; Path=/; HttpOnly; SameSite=Strict"


def _cookie_name(environ: WSGIEnvironment) -> str:
    return f"hpo_dashboard_{environ.get('SERVER_PORT', '')}"  # cookies do not know ports: two dashboards of one machine


def _sent_cookie(environ: WSGIEnvironment) -> str:
    try:
        morsel = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(_cookie_name(environ))
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def _guess(environ: WSGIEnvironment) -> str | None:
    """What was typed into the login page, else the token of a link, which may be an old one."""
    posts = environ.get("REQUEST_METHOD") == "POST" and environ.get("CONTENT_TYPE", "").startswith(_FORM)
    return _typed(environ) if posts else _in_link(environ)


def _in_link(environ: WSGIEnvironment) -> str | None:
    query: str = environ.get("QUERY_STRING", "")
    return next(iter(parse_qs(query).get("token", [])), None)


def _typed(environ: WSGIEnvironment) -> str:
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isascii() or not length.isdigit() or int(length) > _LONGEST_FORM:
        return ""
    form: str = environ["wsgi.input"].read(int(length)).decode(errors="replace")
    return parse_qs(form).get("token", [""])[0].strip()


def _logged_in(environ: WSGIEnvironment, start: StartResponse, key: _Key) -> list[bytes]:
    """To the same page, at an address that can be passed on: without the token."""
    headers = [("Location", _clean_address(environ)), ("Set-Cookie", key.cookie(environ)), _NOT_KEPT]
    return respond(start, HTTPStatus.SEE_OTHER, b"", headers)


def _clean_address(environ: WSGIEnvironment) -> str:
    path = environ.get("PATH_INFO", "").encode("latin-1", errors="replace")  # as WSGI hands bytes on
    rest = [(name, value) for name, value in parse_qsl(environ.get("QUERY_STRING", "")) if name != "token"]
    # one slash: a browser takes what follows two of them for another machine
    return "/" + quote(path.lstrip(b"/")) + (f"?{urlencode(rest)}" if rest else "")


def _ask(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
    if "text/html" in environ.get("HTTP_ACCEPT", ""):
        return _login_page(start)
    return say(start, HTTPStatus.UNAUTHORIZED, "log in at /dashboard, or send  Authorization: Bearer TOKEN")


def _login_page(start: StartResponse, message: str = "") -> list[bytes]:
    headers: Headers = [*_PAGE_HEADERS, ("WWW-Authenticate", "Bearer")]
    return respond(start, HTTPStatus.UNAUTHORIZED, _PAGE.format(message=message).encode(), headers)
