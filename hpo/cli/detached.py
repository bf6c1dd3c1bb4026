"""What ``hpo launch --detach`` says before it leaves the study to others."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from hpo.cli import text
from hpo.cli.options import storage_url
from hpo.cli.output import to_json
from hpo.cli.placement import Placement, logs
from hpo.cli.studies import as_record
from hpo.results import queries

if TYPE_CHECKING:
    from hpo.study import Study


def print_detached(study: Study, url: str, place: Placement | None, as_json: bool) -> None:
    """Who works on it, and how to follow it; ``as_json``: what ``hpo status`` says."""
    found = queries.progress(study.database, study.name)
    if as_json:
        click.echo(to_json(as_record(found)))
        return
    name = text.printable(shlex.quote(study.name))
    click.echo(f"{text.printable(study.name)}: {found.counts.ended} of {study.config.stop.trials} trials have ended")
    click.echo(f"results in {study.database.url_masked}{_environment(url)}")
    click.echo(_who(study, place))
    click.echo(
        f"\nhow far it is     hpo status {name}\nthe best configs  hpo best {name}\nto end it         hpo stop {name}"
    )


def _who(study: Study, place: Placement | None) -> str:
    if place is not None:
        return f"{place.said} have been asked for; logs: {logs(study)}"
    lease_s = study.config.execution.lease_s  # a worker shows itself three times as often
    there = sum(worker.silent_seconds < lease_s for worker in queries.workers(study.database))
    if there:
        return f"{there} worker{'s' if there > 1 else ''} of this database will take its trials"
    return "no worker is there yet: start one on each device with  hpo worker --forever"


def _environment(url: str) -> str:
    """The commands below do not name the database."""
    return "" if url == storage_url(None) else " (set HPO_STORAGE to it for the commands below)"
