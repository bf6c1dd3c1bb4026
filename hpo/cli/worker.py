"""``hpo worker``: one worker, started by hand or by an executor."""

from __future__ import annotations

import logging

import click

from hpo.cli.options import examples, home, open_to_write, storage_option
from hpo.cli.preflight import require_device
from hpo.cli.terminal import printable
from hpo.executors.devices import cores

_log = logging.getLogger("hpo.worker")


@click.command(
    epilog=examples("hpo worker --study quickstart --device cuda:1", "HPO_STORAGE=postgresql://me@db/hpo hpo worker")
)
@click.option(
    "--study",
    metavar="NAME",
    help="Work on this study only.  [default: all that run, by execution.priority]",
)
@click.option("--device", metavar="cpu|cuda:N", help="The device to train on.  [default: the first GPU, else the CPU]")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads to use.  [default: all cores]")
@storage_option
def worker(study: str | None, device: str | None, threads: int | None, storage: str | None) -> None:
    """Work on the database's running studies until none has trials left; logs go to standard error.

    One worker owns one device slot. Ctrl-C checkpoints the trial and lets it go: the next worker continues it.
    """
    device = require_device(device)
    with open_to_write(storage) as database:
        from hpo.results import queries

        if study is not None:
            queries.study(database, study)  # StudyNotFound before the runner starts
        _log_to_stderr()
        from hpo.worker import Slot, Worker  # here: they import Optuna

        slot = Slot(device, threads or cores())
        _log.info("worker %s on %s, %d threads, %s", slot.worker_id[:8], slot.device, slot.threads, database.url_masked)
        Worker(database, slot, home(), study).run()
        has_work = any(study in (None, row.name) for row in queries.running_studies(database))
        _log.info("worker %s ends: %s", slot.worker_id[:8], "stopped" if has_work else "nothing left to do")


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
