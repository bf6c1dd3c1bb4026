"""``hpo worker``: one worker, started by hand, by a service manager or by an executor."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from hpo.cli.options import examples, home, open_to_write, storage_option, storage_url
from hpo.cli.preflight import require_device
from hpo.cli.terminal import printable
from hpo.executors.devices import cores, pin_by_uuid

if TYPE_CHECKING:
    from hpo.results.engine import Database

_log = logging.getLogger("hpo.worker")


@click.command(
    epilog=examples(
        "hpo worker --study quickstart --device cuda:1",
        "HPO_STORAGE=postgresql://me@db/hpo hpo worker",
        "hpo worker --forever",
    )
)
@click.option(
    "--study",
    metavar="NAME",
    help="Work on this study only.  [default: all that run, by execution.priority]",
)
@click.option("--device", metavar="cpu|cuda:N", help="The device to train on.  [default: the first GPU, else the CPU]")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads to use.  [default: all cores]")
@click.option(
    "--forever", is_flag=True, help="Wait for studies where there are none, and for a database that does not answer."
)
@click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input does: with who holds it open.")
@storage_option
def worker(
    study: str | None, device: str | None, threads: int | None, forever: bool, with_parent: bool, storage: str | None
) -> None:
    """Work on the database's running studies until none has trials left; logs go to standard error.

    One worker owns one device slot. Ctrl-C checkpoints the trial and lets it go: the next worker continues it. So do
    SIGTERM, and SIGUSR1 and SIGUSR2, which Slurm sends before it ends a job.
    """
    device = require_device(device)
    pin_by_uuid()
    _log_to_stderr()
    if with_parent:
        threading.Thread(target=_end_with_stdin, name="parent", daemon=True).start()
    with _open_patiently(storage) if forever else open_to_write(storage) as database:
        from hpo.results import queries

        if study is not None and not forever:
            queries.study(database, study)  # StudyNotFound before the runner starts
        from hpo.worker import Slot, Worker  # here: they import Optuna

        slot = Slot(device, threads or cores())
        _log.info("worker %s on %s, %d threads, %s", slot.worker_id[:8], slot.device, slot.threads, database.url_masked)
        Worker(database, slot, home(), study, forever=forever).run()
        has_work = any(study in (None, row.name) for row in queries.running_studies(database))
        stopped = forever or has_work
        _log.info("worker %s ends: %s", slot.worker_id[:8], "stopped" if stopped else "nothing left to do")


def _open_patiently(storage: str | None) -> Database:
    """Makes the tables where there are none yet: a service may be there before the first study."""
    from hpo.results import engine
    from hpo.worker.patience import patiently

    return patiently(lambda: engine.connect(storage_url(storage), create=True))


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)


class _Lines(logging.Formatter):
    """One line a message, but for tracebacks."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """Without control characters."""
        return printable(super().formatMessage(record))
