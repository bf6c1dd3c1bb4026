from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from hpo.errors import InputError
from hpo.results.urls import parse_url


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgres+psycopg"])
def test_every_spelling_of_postgresql_gets_psycopg_3(scheme: str) -> None:
    location = parse_url(f"{scheme}://me@host:5433/db")
    assert location.url.drivername == "postgresql+psycopg"
    assert (location.url.host, location.url.port, location.dialect) == ("host", 5433, "postgresql")


def test_a_sqlite_path_becomes_absolute() -> None:
    assert (path := parse_url("sqlite:///some.db").path) is not None
    assert path.is_absolute()
    assert path.name == "some.db"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("hpo.db", "did you mean sqlite:///hpo.db ?"),
        ("", "is not a database URL"),
        ("sqlite://hpo.db", "did you mean sqlite:///hpo.db ?"),
        ("sqlite://dir/hpo.db", "did you mean sqlite:///dir/hpo.db ?"),
        ("sqlite://", "cannot share it"),
        ("sqlite:///:memory:", "cannot share it"),
        ("sqlite:///file:x.db", "file: names are not taken"),
        ("sqlite:///x.db?mode=ro", "expected sqlite:///x.db"),
        ("postgre://u@h/d", "did you mean postgres"),
        ("mysql://u@h/d", "unknown kind of database 'mysql'"),
        ("postgresql+psycopg2://u@h/d", "leave it out"),
        ("postgresql://u@h:port/d", "is not a database URL"),
    ],
)
def test_a_bad_url_is_told_what_was_meant(url: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_url(url)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:s3cret@host/db",
        "postgresql://me:s3cret@host:port/db",
        "postgresql+asyncpg://me:s3cret@host/db",
        "postgresql://me:a/s3cret@b@host:port/db",
        "mysql://host/db?user=me&password=s3cret",
    ],
)
def test_no_password_in_the_message_of_a_bad_url(url: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_url(url)
    assert "s3cret" not in str(caught.value)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=6))
def test_no_password_in_what_is_shown(password: str) -> None:
    url = URL.create("postgresql", "me", password, "host", 5432, "db").render_as_string(hide_password=False)
    location = parse_url(url)
    assert location.masked == "postgresql://me:***@host:5432/db"
    assert location.url.password == password
    assert password not in location.scrub(f"failed for {password!s}").removeprefix("failed for ")


def test_a_password_among_the_options_is_hidden_too() -> None:
    location = parse_url("postgresql://me@host/db?password=s3cret&sslmode=require")
    assert location.masked == "postgresql://me@host/db?password=hidden&sslmode=require"
    assert location.scrub("s3cret") == "***"
