"""``hpo pause|resume|stop``: what workers do with a study."""

from __future__ import annotations

import shlex

import click

from hpo.cli.options import examples, open_to_write, storage_option
from hpo.cli.terminal import say
from hpo.errors import InputError


@click.command(epilog=examples("hpo pause quickstart"))
@click.argument("study")
@storage_option
def pause(study: str, storage: str | None) -> None:
    """Let the running trials of STUDY go after a checkpoint; hpo resume continues them."""
    _change(study, storage, "paused")


@click.command(epilog=examples("hpo resume quickstart"))
@click.argument("study")
@storage_option
def resume(study: str, storage: str | None) -> None:
    """Let workers take the trials of STUDY again, where they were left."""
    _change(study, storage, "running")
    say(f"its trials wait for workers: launch its config again, or  hpo worker --study {shlex.quote(study)}", err=True)


@click.command(epilog=examples("hpo stop quickstart"))
@click.argument("study")
@storage_option
def stop(study: str, storage: str | None) -> None:
    """End STUDY before all its trials are done; its results stay, and hpo resume takes it up again."""
    _change(study, storage, "stopped")


def _change(name: str, storage: str | None, status: str) -> None:
    with open_to_write(storage) as database:
        from hpo.results import queries, store

        found = queries.study(database, name)
        if found.status == "done":
            raise InputError(
                f"the study {name!r} is done: there is nothing to {_VERBS[status]}; for more trials {_MORE}"
            )
        store.set_status(database, found.study_id, status)
    was = "as before" if found.status == status else f"was {found.status}"
    say(f"{name}: {status} ({was})")


_VERBS = {"paused": "pause", "running": "resume", "stopped": "stop"}
_MORE = "raise stop.trials in its config and launch it"
