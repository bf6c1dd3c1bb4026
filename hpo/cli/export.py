"""``hpo export``: one trial's config as a file."""

from __future__ import annotations

from pathlib import Path

import click

from hpo.cli import text
from hpo.cli.files import require_free, write_file
from hpo.cli.options import TrialNumber, examples, open_to_read, storage_option
from hpo.cli.output import to_yaml
from hpo.cli.terminal import say
from hpo.config import TrialConfig
from hpo.errors import InputError, TrialNotFound
from hpo.results import queries
from hpo.results.engine import Database
from hpo.results.rows import TrialDetail

MAX_NAME = 200  # of a study


@click.command(
    epilog=examples(
        "hpo export quickstart -o best.yaml",
        "hpo export quickstart --trial 7 | less",
        "hpo export quickstart --learner best",
    )
)
@click.argument("study")
@click.option("--trial", type=TrialNumber(), metavar="N", help="Which trial.  [default: rank 1 of hpo best]")
@click.option("-o", "--output", default="-", show_default=True, metavar="FILE", help="Where to; - is standard output.")
@click.option(
    "--learner", type=click.Path(path_type=Path), metavar="FOLDER", help="Write config and trained learner there."
)
@click.option("--force", is_flag=True, help="Replace what exists.")
@storage_option
def export(study: str, trial: int | None, output: str, learner: Path | None, force: bool, storage: str | None) -> None:
    """Write a trial's config, every field filled in, as a study config without a search: hpo train takes it.

    With --learner FOLDER, also the trained learner, which hpo adapt takes.
    """
    if learner is not None and output != "-":
        raise click.UsageError("found -o and --learner, expected one of them: --learner writes a config too")
    if learner is None:
        _export_config(study, trial, None if output == "-" else Path(output), force, storage)
    else:
        _export_learner(study, trial, learner, force, storage)


def _export_config(study: str, trial: int | None, target: Path | None, force: bool, storage: str | None) -> None:
    if target is not None:
        require_free(target, "-o", force)
    with open_to_read(storage) as database:
        exported = as_yaml(_detail(database, study, trial))
    if target is None:
        click.echo(exported, nl=False)
        return
    write_file(target, exported.encode())
    say(f"{target}: train and test it with  hpo train {target}", err=True)


def _export_learner(study: str, trial: int | None, folder: Path, force: bool, storage: str | None) -> None:
    from hpo.meta.exported import CONFIG, contents, trained_parameters

    require_free(folder, "--learner", force)
    with open_to_read(storage) as database:
        found = _detail(database, study, trial)
    if found.trial.checkpoint_uri is None:
        raise InputError(
            f"trial {found.trial.number} of {study!r} has no trained learner: only trials that were trained to their"
            " end keep one"
        )
    config = TrialConfig.from_dict(found.config or {})
    files = contents(config, trained_parameters(Path(found.trial.checkpoint_uri), config))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be made: {getattr(error, 'strerror', error)}") from None
    for name, content in {CONFIG: as_yaml(found).encode(), **files}.items():
        write_file(folder / name, content)
    say(f"{folder}: adapt it to a task of yours with  hpo adapt {folder} --support FILE --query FILE", err=True)


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
