"""``hpo dashboard``: optuna-dashboard on the study database, with notes and adaptation curves."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import TYPE_CHECKING

import click

from hpo.cli.options import examples, open_to_write, storage_option
from hpo.errors import InputError

if TYPE_CHECKING:
    from hpo.results.engine import Database

_LOCAL = ("127.0.0.1", "localhost")


@click.command(
    epilog=examples(
        "hpo dashboard", "hpo dashboard quickstart --port 8081", "hpo dashboard --storage postgresql://me@db/hpo"
    )
)
@click.argument("study", required=False)
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free one.  [default: the first free one from 8080]")
@click.option(
    "--host", default=_LOCAL[0], metavar="ADDRESS", help="127.0.0.1 or localhost only: the dashboard has no password."
)
@click.option("--browser/--no-browser", default=True, help="Open the page, where there is a browser and a terminal.")
@storage_option
def dashboard(study: str | None, port: int | None, host: str, browser: bool, storage: str | None) -> None:
    """Open optuna-dashboard on STUDY, or on the only study, or on the list of all; Ctrl-C ends it.

    Every ended trial gets a note with its outcome, config and adaptation curve; new ones within seconds.
    """
    _require_local(host)
    with open_to_write(storage) as database:
        page = _page(database, study)
        _serve(database, port, page, browser)


def _require_local(host: str) -> None:
    if host not in _LOCAL:
        raise InputError(
            f"--host {host}: the dashboard has no password and can delete studies, so it is served to this machine "
            "only. From another machine:  ssh -L 8080:127.0.0.1:8080 THIS-MACHINE  and open http://127.0.0.1:8080 there"
        )


def _page(database: Database, study: str | None) -> str:
    """The path of the page to open, below the list's."""
    from hpo.results import queries

    if study is not None:
        return f"/studies/{queries.study(database, study).study_id}"
    found = queries.summaries(database)
    return f"/studies/{found[0].study_id}" if len(found) == 1 else ""


def _serve(database: Database, port: int | None, page: str, browser: bool) -> None:
    click.echo(f"starting on {database.url_masked} ...", err=True)  # optuna-dashboard's imports take seconds
    import optuna

    from hpo.report.dashboard import application
    from hpo.report.server import NotesThread, bind

    storage = optuna.storages.get_storage(database.optuna_storage)  # caches: a page reads only what is new
    with bind(port, application(database, storage)) as server, NotesThread(database, storage):
        url = server.url + page
        click.echo(url)
        click.echo("Ctrl-C ends it", err=True)
        if browser and _has_browser():
            webbrowser.open(url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("ended", err=True)


def _has_browser() -> bool:
    """Whether a window can be shown to the person who typed this; text browsers would take the terminal away."""
    if not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
