"""Storage URLs: which ones are taken, and what of them may be shown."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from hpo.errors import InputError

Dialect = Literal["sqlite", "postgresql"]

_EXPECTED = "expected sqlite:///hpo.db (a file) or postgresql://user@host:5432/database"
_DIALECTS: dict[str, Dialect] = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql",
    "postgresql+psycopg": "postgresql",
    "postgres": "postgresql",  # what Heroku, Supabase and libpq write
    "postgres+psycopg": "postgresql",
}
_SECRET_OPTIONS = ("password", "sslpassword")


@dataclass(frozen=True)
class Location:
    """Where a database lies; ``url`` names the driver, and for SQLite its path is absolute."""

    url: URL
    dialect: Dialect
    masked: str

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for a server."""
        return Path(self.url.database or "") if self.dialect == "sqlite" else None

    @property
    def revealed(self) -> str:
        """The URL with its password: for drivers, never for people."""
        return self.url.render_as_string(hide_password=False)

    def scrub(self, text: str) -> str:
        """``text`` without this location's passwords, plain or as a URL has them."""
        options = [self.url.query.get(key) for key in _SECRET_OPTIONS]
        secrets = [self.url.password, *(option for option in options if isinstance(option, str))]
        for secret in filter(None, secrets):
            for written in (quote(secret, safe=""), quote(secret), secret):
                text = text.replace(written, "***")
        return text


def parse_url(text: str) -> Location:
    """The database that ``text`` names; InputError says what is wrong with it and what was probably meant."""
    shown = _mask_text(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise InputError(f"storage {shown!r} is not a database URL: {_EXPECTED}{_meant(text)}") from None
    dialect = _DIALECTS.get(url.drivername)
    if dialect is None:
        raise InputError(f"storage {shown!r}: {_unknown(url.drivername)}")
    if dialect == "sqlite":
        return _sqlite(url, text)
    return Location(url.set(drivername="postgresql+psycopg"), dialect, _mask(url))


def _sqlite(url: URL, text: str) -> Location:
    if url.host is not None:
        path = "/".join(part for part in (url.host, url.database) if part)
        raise InputError(f"storage {text!r} needs three slashes: did you mean sqlite:///{path} ?")
    if url.query:
        raise InputError(f"storage {text!r}: options after '?' are not taken: expected sqlite:///{url.database}")
    if url.database in (None, "", ":memory:"):
        raise InputError(f"storage {text!r} ends with its process and workers cannot share it: {_EXPECTED}")
    if str(url.database).startswith("file:"):
        raise InputError(f"storage {text!r}: SQLite's file: names are not taken: {_EXPECTED}")
    path = str(Path(str(url.database)).absolute())
    return Location(url.set(drivername="sqlite+pysqlite", database=path), "sqlite", text)


def _unknown(drivername: str) -> str:
    base, _, driver = drivername.partition("+")
    if _DIALECTS.get(base) == "postgresql" and driver:
        return f"driver {driver!r} is not used: leave it out (postgresql://...), hpo takes psycopg 3"
    near = difflib.get_close_matches(base, _DIALECTS, n=1)
    hint = f"; did you mean {near[0]}://... ?" if near else ""
    return f"unknown kind of database {base!r}: {_EXPECTED}{hint}"


def _meant(text: str) -> str:
    looks_like_file = text and "://" not in text and "@" not in text
    return f"; did you mean sqlite:///{text} ?" if looks_like_file else ""


def _mask(url: URL) -> str:
    shown = {key: "hidden" if key in _SECRET_OPTIONS else value for key, value in url.query.items()}
    return url.set(query=shown).render_as_string(hide_password=True)


def _mask_text(text: str) -> str:
    # Greedy up to the last "@": a password that was not percent-encoded may itself hold ":", "/" and "@".
    text = re.sub(r"(://[^:@/]*):.*@", r"\1:***@", text, flags=re.DOTALL)
    return re.sub(rf"\b({'|'.join(_SECRET_OPTIONS)})=[^&]*", r"\1=hidden", text)
