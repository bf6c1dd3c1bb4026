"""``hpo devices``: what trials can run on here."""

from __future__ import annotations

import click

from hpo.cli import text
from hpo.cli.options import examples, format_options
from hpo.cli.output import Column, show
from hpo.executors import devices as found

_COLUMNS = (
    Column("device", lambda row: row["device"]),
    Column("what", lambda row: row["description"]),
    Column("memory", lambda row: text.memory(row["memory_bytes"]), right=True),
)


@click.command(epilog=examples("hpo devices", "CUDA_VISIBLE_DEVICES=1,2 hpo devices --json"))
@format_options
def devices(form: str) -> None:
    """The devices that trials can run on here, by the names that configs and --device take."""
    rows = [
        {"device": device.name, "description": device.description, "memory_bytes": device.memory_bytes}
        for device in (found.cpu(), *found.gpus())
    ]
    show(rows, _COLUMNS, form)
