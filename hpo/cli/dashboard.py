"""``hpo dashboard``: optuna-dashboard on the study database, with notes and adaptation curves."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import TYPE_CHECKING

import click

from hpo.cli.options import examples, open_to_write, storage_option
from hpo.cli.terminal import say
from hpo.cli.token import given_token, made_up_token
from hpo.report.access import LOCAL, Access

if TYPE_CHECKING:
    from hpo.results.engine import Database


@click.command(epilog=examples("hpo dashboard", "hpo dashboard quickstart --port 8081", "hpo dashboard --host 0.0.0.0"))
@click.argument("study", required=False)
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free one.  [default: the first free one from 8080]")
@click.option(
    "--host",
    default=LOCAL[0],
    show_default=True,
    metavar="ADDRESS",
    help="Where to listen; 0.0.0.0: on all addresses of this machine. Others than 127.0.0.1 and localhost ask for a "
    "token: HPO_DASHBOARD_TOKEN, else one that is made up and shown.",
)
@click.option("--allow-edit", is_flag=True, help="Let other machines change and delete studies, not only look.")
@click.option("--browser/--no-browser", default=True, help="Open the page, where there is a browser and a terminal.")
@storage_option
def dashboard(
    study: str | None, port: int | None, host: str, allow_edit: bool, browser: bool, storage: str | None
) -> None:
    """Open optuna-dashboard on STUDY, or on the only study, or on the list of all; Ctrl-C ends it.

    Every ended trial gets a note with its outcome, config and adaptation curve; new ones within seconds.
    """
    access = _access(host, allow_edit)
    with open_to_write(storage) as database:
        page = _page(database, study)
        _serve(database, port, page, browser, access)


def _access(host: str, allow_edit: bool) -> Access:
    """With a token wherever other machines are let in, and where the environment has one."""
    given = given_token()
    return Access(host, made_up_token(host) if given is None and host not in LOCAL else given, allow_edit)


def _page(database: Database, study: str | None) -> str:
    """The path of the page to open, below the list's."""
    from hpo.results import queries

    if study is not None:
        return f"/studies/{queries.study(database, study).study_id}"
    found = queries.summaries(database)
    return f"/studies/{found[0].study_id}" if len(found) == 1 else ""


def _serve(database: Database, port: int | None, page: str, browser: bool, access: Access) -> None:
    say(f"starting on {database.url_masked} ...", err=True)  # optuna-dashboard's imports take seconds
    import optuna

    from hpo.report.dashboard import application
    from hpo.report.server import NotesThread, bind

    storage = optuna.storages.get_storage(database.optuna_storage)  # caches: a page reads only what is new
    guarded = access.guard(application(database, storage))
    with bind(port, guarded, access.host) as server, NotesThread(database, storage):
        url = server.url + page
        say(url)
        if access.token != given_token():  # what the environment has is known to whoever is to log in
            say(f"log in with  {url}?token={access.token}", err=True)
        say("Ctrl-C ends it", err=True)
        if browser and _has_browser():
            webbrowser.open(url)  # without the token: everybody on this machine can see a browser's arguments
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended", err=True)


def _has_browser() -> bool:
    """Whether a window can be shown to the person who typed this; text browsers would take the terminal away."""
    if not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
