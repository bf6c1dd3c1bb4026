"""``hpo export``: one trial's config as a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from hpo.cli import text
from hpo.cli.options import TrialNumber, examples, open_to_read, storage_option
from hpo.cli.output import to_yaml
from hpo.cli.terminal import say
from hpo.config import TrialConfig
from hpo.errors import InputError, TrialNotFound
from hpo.results import queries
from hpo.results.engine import Database
from hpo.results.rows import TrialDetail

MAX_NAME = 200  # of a study


@click.command(epilog=examples("hpo export quickstart -o best.yaml", "hpo export quickstart --trial 7 | less"))
@click.argument("study")
@click.option("--trial", type=TrialNumber(), metavar="N", help="Which trial.  [default: rank 1 of hpo best]")
@click.option("-o", "--output", default="-", show_default=True, metavar="FILE", help="Where to; - is standard output.")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@storage_option
def export(study: str, trial: int | None, output: str, force: bool, storage: str | None) -> None:
    """Write a trial's config, every field filled in, as a study config without a search: hpo train takes it."""
    target = None if output == "-" else Path(output)
    if target is not None and _exists(target) and not force:
        raise InputError(f"{target} exists: give another name with -o, or --force to replace it")
    with open_to_read(storage) as database:
        exported = as_yaml(_detail(database, study, trial))
    if target is None:
        click.echo(exported, nl=False)
        return
    _write(target, exported)
    say(f"{target}: train and test it with  hpo train {target}", err=True)


def _detail(database: Database, study: str, number: int | None) -> TrialDetail:
    if number is None:
        best = queries.best(database, study, 1)
        if not best:
            raise TrialNotFound(f"no trial of {study!r} was trained to its end yet: wait, or choose one with --trial")
        number = best[0].number
    found = queries.trial(database, study, number)
    if found.config is None:
        raise TrialNotFound(f"trial {number} of {study!r} has no config yet: its worker ended before it began")
    return found


def as_yaml(found: TrialDetail) -> str:
    """The file's text; a comment says where it comes from."""
    row, suffix = found.trial, f"-trial-{found.trial.number}"
    config = TrialConfig.from_dict(found.config_to_repeat).to_dict()
    value = text.estimate(row.value, row.sem) + text.after(row.objective_inner_steps)
    outcome = f"{row.outcome or row.state.lower()}, {value}"
    if row.confirmed_seeds:
        outcome += f"; confirmed, {text.estimate(row.confirmed_mean, row.confirmed_sem)} over new seeds"
    if row.violated is not None:
        outcome += f"; violates {row.violated}"
    comment = f"# Trial {row.number} of the study {text.printable(row.study)}: {outcome}; written by hpo export.\n"
    return comment + to_yaml({"name": row.study[: MAX_NAME - len(suffix)] + suffix, **config})


def _write(target: Path, content: str) -> None:
    """In one step: no other program reads half a file, and a full disk leaves the old one."""
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        raise InputError(f"{target} cannot be written: {getattr(error, 'strerror', error)}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(temporary, 0o644 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise InputError(f"{target} cannot be written: {error.strerror}") from None


def _exists(target: Path) -> bool:
    try:
        return target.exists()
    except (OSError, ValueError):  # no file can have this name: writing it says why
        return False


def _umask() -> int:
    """Python can only ask by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
