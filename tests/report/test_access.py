"""Who may use the dashboard, and for what."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlencode
from wsgiref.types import WSGIApplication

import optuna
import pytest

from hpo.report.access import Access
from hpo.report.dashboard import application
from tests.report.requests import Answer, get

TOKEN = "correct-horse-battery"
BROWSER = {"HTTP_ACCEPT": "text/html,*/*", "HTTP_HOST": "gpu-box:8080", "SERVER_PORT": "8080"}
CHANGES = [
    ("DELETE", "/api/studies/1"),
    ("POST", "/api/studies"),
    ("PUT", "/api/studies/1/note"),
    ("POST", "/api/trials/1/tell"),
    ("PATCH", "/api/studies/1"),
    ("BREW", "/api/studies/1"),
]


@pytest.fixture
def plain(lab: Any) -> WSGIApplication:
    return application(lab.database, optuna.storages.get_storage(lab.database.optuna_storage))


@pytest.fixture
def local(plain: WSGIApplication) -> WSGIApplication:
    return Access().guard(plain)


@pytest.fixture
def remote(plain: WSGIApplication) -> WSGIApplication:
    return Access("0.0.0.0", TOKEN).guard(plain)


@pytest.fixture
def editable(plain: WSGIApplication) -> WSGIApplication:
    return Access("0.0.0.0", TOKEN, allow_edit=True).guard(plain)


def log_in(app: WSGIApplication, typed: str, path: str = "/dashboard", **environ: Any) -> Answer:
    form = urlencode({"token": typed}).encode()
    given = {"wsgi.input": io.BytesIO(form), "CONTENT_LENGTH": str(len(form)), **BROWSER, **environ}
    return get(app, path, "POST", CONTENT_TYPE="application/x-www-form-urlencoded", **given)


def cookie(app: WSGIApplication) -> str:
    return log_in(app, TOKEN).headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "0.0.0.0:8080"])
def test_other_names_are_refused(local: WSGIApplication, host: str) -> None:
    """A page of another site may have its name point to 127.0.0.1."""
    assert get(local, "/api/studies", HTTP_HOST=host).status == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:8080", "[::1]:8080"])
def test_this_machines_names_are_taken(local: WSGIApplication, host: str) -> None:
    assert get(local, "/api/studies", HTTP_HOST=host).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8080"])
def test_a_page_of_another_site_changes_nothing(lab: Any, local: WSGIApplication, origin: str) -> None:
    assert get(local, "/api/studies/1", "DELETE", HTTP_ORIGIN=origin).status == 403
    assert lab.study().study_name == "few-shot languages"


@pytest.mark.parametrize("headers", [{"HTTP_ORIGIN": "http://127.0.0.1:8080"}, {}], ids=["its own page", "a program"])
def test_on_this_machine_studies_can_be_edited(local: WSGIApplication, headers: dict[str, str]) -> None:
    assert get(local, "/api/studies/1", "DELETE", **headers).status == 204


@pytest.mark.parametrize(
    "path", ["/", "/dashboard", "/api/studies", "/csv/1", "/hpo/adaptation/1/3.svg", "/favicon.ico"]
)
def test_nothing_is_shown_without_the_token(remote: WSGIApplication, path: str) -> None:
    for accept in ("text/html", "application/json"):
        answer = get(remote, path, **{**BROWSER, "HTTP_ACCEPT": accept})
        assert answer.status == 401
        assert b"few-shot" not in answer.body
        assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_nothing_is_changed_without_the_token(lab: Any, editable: WSGIApplication, method: str, path: str) -> None:
    assert get(editable, path, method, **BROWSER).status == 401
    assert lab.study().study_name == "few-shot languages"


def test_a_person_logs_in_and_stays_so(remote: WSGIApplication) -> None:
    page = get(remote, "/dashboard/studies/1", **BROWSER)
    assert b'<form method="post">' in page.body
    done = log_in(remote, TOKEN, "/dashboard/studies/1")
    assert (done.status, done.headers["Location"]) == (303, "/dashboard/studies/1")
    kept, *attributes = done.headers["Set-Cookie"].split("; ")
    assert TOKEN not in kept
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert get(remote, "/api/studies", HTTP_COOKIE=f"theme=dark; {kept}", **BROWSER).status == 200
    assert get(remote, "/api/studies", HTTP_COOKIE=kept[:-1], **BROWSER).status == 401


@pytest.mark.parametrize("guess", ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\u2603" * 30, "\udc80", "x" * 100_000])
def test_a_wrong_token_is_said_to_be_wrong(remote: WSGIApplication, guess: str) -> None:
    answer = log_in(remote, guess.encode(errors="replace").decode())
    assert answer.status == 401
    assert b"This is not the token" in answer.body
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("length", ["", "-1", "x", "99999999999", "\u0663"])
def test_a_form_of_no_honest_length_is_not_read(remote: WSGIApplication, length: str) -> None:
    assert log_in(remote, TOKEN, CONTENT_LENGTH=length).status == 401


def test_a_link_leads_to_a_clean_address(remote: WSGIApplication) -> None:
    answer = get(remote, "/dashboard/studies/1", QUERY_STRING=f"a=b%20c&token={TOKEN}", **BROWSER)
    assert (answer.status, answer.headers["Location"]) == (303, "/dashboard/studies/1?a=b+c")
    kept = answer.headers["Set-Cookie"].partition(";")[0]
    again = get(remote, "/dashboard", QUERY_STRING=f"token={TOKEN}", HTTP_COOKIE=kept, **BROWSER)
    assert (again.status, again.headers["Location"]) == (303, "/dashboard")
    assert get(remote, "/dashboard", QUERY_STRING="token=wrong", **BROWSER).status == 401
    for known in ({"HTTP_COOKIE": kept}, {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}):
        assert get(remote, "/dashboard", QUERY_STRING="token=old", **BROWSER, **known).status == 303
    assert log_in(remote, TOKEN, QUERY_STRING="token=old").status == 303


@pytest.mark.parametrize("path", ["//evil.example/x", "///evil.example", "/\\evil.example", "/\r\nSet-Cookie: a=b"])
def test_a_log_in_leads_to_no_other_site(remote: WSGIApplication, path: str) -> None:
    location = log_in(remote, TOKEN, path).headers["Location"]
    assert not location.startswith(("//", "/\\"))
    assert "\n" not in location


def test_a_program_sends_the_token_with_each_request(remote: WSGIApplication) -> None:
    assert get(remote, "/api/studies", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status == 200
    for sent in (f"Bearer {TOKEN}x", "Bearer", TOKEN, f"Basic {TOKEN}", "Bearer \xff"):
        assert get(remote, "/api/studies", HTTP_AUTHORIZATION=sent).status == 401


def test_a_session_ends_with_the_process(plain: WSGIApplication, remote: WSGIApplication) -> None:
    kept = cookie(remote)
    restarted = Access("0.0.0.0", TOKEN).guard(plain)
    assert get(restarted, "/api/studies", HTTP_COOKIE=kept, **BROWSER).status == 401


def test_two_dashboards_of_one_machine_keep_two_cookies(remote: WSGIApplication) -> None:
    other = log_in(remote, TOKEN, SERVER_PORT="8081").headers["Set-Cookie"]
    assert other.partition("=")[0] != cookie(remote).partition("=")[0]


@pytest.mark.parametrize("broken", ["=", "hpo_dashboard_8080", ";;;", "a=\x00", "hpo_dashboard_8080=\xff"])
def test_a_broken_cookie_is_none(remote: WSGIApplication, broken: str) -> None:
    assert get(remote, "/api/studies", HTTP_COOKIE=broken, **BROWSER).status == 401


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_other_machines_only_look(lab: Any, remote: WSGIApplication, method: str, path: str) -> None:
    for known in ({"HTTP_COOKIE": cookie(remote)}, {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}):
        answer = get(remote, path, method, **BROWSER, **known)
        assert answer.status == 403
        assert b"--allow-edit" in answer.body
    assert lab.study().study_name == "few-shot languages"


def test_other_machines_edit_where_that_was_allowed(lab: Any, editable: WSGIApplication) -> None:
    known = {**BROWSER, "HTTP_COOKIE": cookie(editable)}
    assert get(editable, "/api/studies/1", "DELETE", HTTP_ORIGIN="https://evil.example", **known).status == 403
    assert lab.study().study_name == "few-shot languages"
    assert get(editable, "/api/studies/1", "DELETE", HTTP_ORIGIN="http://gpu-box:8080", **known).status == 204


def test_a_token_is_asked_for_on_this_machine_too_where_there_is_one(plain: WSGIApplication) -> None:
    app = Access(token=TOKEN).guard(plain)
    assert get(app, "/api/studies").status == 401
    assert get(app, "/api/studies", HTTP_AUTHORIZATION=f"Bearer {TOKEN}", HTTP_HOST="evil.example").status == 403
    assert get(app, "/api/studies/1", "DELETE", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status == 204


@pytest.mark.parametrize("path", ["/dashboard", "/api/studies", "/hpo/adaptation/1/3.svg"])
def test_no_other_site_shows_a_page_inside_its_own(local: WSGIApplication, path: str) -> None:
    assert get(local, path).headers["X-Frame-Options"] == "SAMEORIGIN"


def test_guesses_are_compared_in_constant_time(remote: WSGIApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return False

    monkeypatch.setattr("hpo.report.login.hmac.compare_digest", compare)
    assert log_in(remote, TOKEN).status == 401
    assert get(remote, "/api/studies", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status == 401
    assert get(remote, "/", QUERY_STRING=f"token={TOKEN}").status == 401
    assert compared.count((TOKEN.encode(), TOKEN.encode())) == 3
