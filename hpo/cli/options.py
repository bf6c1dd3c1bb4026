"""Options that verbs share, and the database that they name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hpo.results.engine import Database

_F = TypeVar("_F", bound=Callable[..., Any])
DEFAULT_STORAGE = "sqlite:///hpo.db"
FORMATS = ("table", "json", "yaml", "csv")


def storage_option(command: _F) -> _F:
    """``--storage URL``."""
    return click.option(
        "--storage",
        metavar="URL",
        help="Database, such as sqlite:///hpo.db or postgresql://user@host/name. "
        f"[default: HPO_STORAGE, else {DEFAULT_STORAGE}]",
    )(command)


def json_option(command: _F) -> _F:
    """``--json`` for programs."""
    return click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for programs.")(command)


def format_options(command: _F) -> _F:
    """``--format`` and its short form ``--json``; the verb gets ``form``."""
    command = click.option("--json", "form", flag_value="json", help="The same as --format json.")(command)
    return click.option(
        "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="Format of the output."
    )(command)


class TrialNumber(click.IntRange):
    """A trial's number, from 0."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuses what is none."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"found {value!r}, expected a trial's number", param, ctx)


def examples(*lines: str) -> str:
    """A verb's epilog."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def storage_url(option: str | None, from_config: str | None = None) -> str:
    """``--storage``, else HPO_STORAGE, else the config's, else a file here."""
    return option or os.environ.get("HPO_STORAGE") or from_config or DEFAULT_STORAGE


def home() -> Path:
    """Where checkpoints and logs go: HPO_HOME, else ``.hpo`` here."""
    return Path(os.environ.get("HPO_HOME") or ".hpo").absolute()


def open_to_read(storage: str | None) -> Database:
    """The database for verbs that change nothing."""
    from hpo.results import engine  # here: sqlalchemy takes half a second that --help need not wait for

    return engine.connect(storage_url(storage), write=False)


def open_to_write(storage: str | None) -> Database:
    """The database for verbs that change an existing study."""
    from hpo.results import engine

    return engine.connect(storage_url(storage))
