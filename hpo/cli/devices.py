"""``hpo devices``: what trials can run on here."""

from __future__ import annotations

import os

import click

from hpo.cli import text
from hpo.cli.options import examples, format_options
from hpo.cli.output import Column, show
from hpo.executors import devices as found

_COLUMNS = (
    Column("device", lambda row: row["device"]),
    Column("what", lambda row: row["description"]),
    Column("memory", lambda row: text.memory(row["memory_bytes"]), right=True),
    Column("free", lambda row: text.memory(row["free_bytes"]), right=True),
    Column("devices: auto", lambda row: row["auto"]),
    Column("uuid", lambda row: row["uuid"] or ""),
)


@click.command(epilog=examples("hpo devices", "CUDA_VISIBLE_DEVICES=1,2 hpo devices --json"))
@format_options
def devices(form: str) -> None:
    """The devices that trials can run on here, by the names that configs and --device take."""
    there = found.gpus()
    rows = [
        {
            "device": device.name,
            "description": device.description,
            "memory_bytes": device.memory_bytes,
            "free_bytes": device.free_bytes,
            "uuid": device.uuid,
            "auto": _why(device, there),
        }
        for device in (found.cpu(), *there)
    ]
    show(rows, _COLUMNS, form)


def _why(device: found.Device, gpus: list[found.Device]) -> str:
    if device in gpus:
        return "used"
    if gpus:
        return "not used: there are GPUs"
    admitted = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "used: no GPU" + ("" if admitted is None else f" that CUDA_VISIBLE_DEVICES={admitted} admits")
