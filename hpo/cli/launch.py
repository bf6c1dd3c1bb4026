"""``hpo launch``: a study from its config to its best config, with progress in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpo.cli import text
from hpo.cli.interrupt import INTERRUPTED
from hpo.cli.options import examples, json_option, storage_option, storage_url
from hpo.cli.placement import Placement, logs, placement
from hpo.cli.preflight import most_demanding, require_data, require_packages, require_search
from hpo.cli.terminal import say
from hpo.config import StudyConfig, load_study_config
from hpo.errors import InputError, StorageError

if TYPE_CHECKING:
    from hpo.cli.watch import Watch
    from hpo.earlier_trials import Source
    from hpo.study import Study


@click.command(
    epilog=examples(
        "hpo launch study_configs/quickstart.yaml",
        "hpo launch my.yaml --storage postgresql://me@db/hpo",
        "hpo launch my.yaml --detach",
    )
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="Instead of the config's stop.trials.")
@click.option(
    "--warm-start",
    multiple=True,
    metavar="STUDY",
    help="Learn from the trials of another study in the same database too; may be repeated. Remembered.",
)
@click.option(
    "--detach",
    is_flag=True,
    help="Return at once: leave the study to workers that run elsewhere, or to those submitted to Ray or Slurm.",
)
@storage_option
@json_option
def launch(
    config: Path, trials: int | None, warm_start: tuple[str, ...], detach: bool, storage: str | None, as_json: bool
) -> None:
    """Run the study that CONFIG describes: create it, or go on with it where it stands, until it is done.

    Workers are started as the config's execution section says: on this machine, in a Ray cluster, or by Slurm; others
    may join with hpo worker. Progress goes to standard error. Ctrl-C checkpoints the running trials and lets them go;
    the same command goes on.
    """
    study_config = _load(config, trials)
    require_search(study_config, config)
    require_packages(study_config)
    place = _detachable(study_config) if detach else placement(study_config.execution)
    url = storage_url(storage, study_config.storage)
    require_data(most_demanding(study_config))
    # here: what is wrong with the config is said before half a second of imports
    from hpo.launch import create_or_resume
    from hpo.results import engine

    with engine.connect(url, create=True) as database:
        study = create_or_resume(study_config, database, tuple(dict.fromkeys(warm_start)))
        code = _run(study, url, place, detach, as_json)
    raise click.exceptions.Exit(code)


def _load(path: Path, trials: int | None) -> StudyConfig:
    config = load_study_config(path)
    if trials is None:
        return config
    return StudyConfig.from_dict({**config.to_dict(), "stop": {**config.stop.model_dump(), "trials": trials}})


def _detachable(config: StudyConfig) -> Placement | None:
    """None: no worker is started, as those on this machine would end with the launch."""
    if config.execution.executor == "local":
        return None
    if config.execution.address == "local":
        raise InputError(
            "--detach: execution.address: local is a cluster that ends with the launch: name one that stays"
        )
    return placement(config.execution)


def _run(study: Study, url: str, place: Placement | None, detach: bool, as_json: bool) -> int:
    from hpo.cli.summary import print_summary
    from hpo.cli.watch import Watch

    config, database = study.config, study.database
    watch = Watch(database, config)
    if study.is_done():
        last = watch.look()
        limit = "stop.trials" if last.stop_reason is None else "what stopped it"
        early = f"its search stopped {last.stop_reason}"
        ended = f"all its {config.stop.trials} trials have ended" if last.stop_reason is None else early
        ended += ", and those that confirm the best" * bool(config.stop.confirm)
        say(f"the study {study.name!r} is done: {ended}; raise {limit} in its config for more", err=True)
        return print_summary(last, database, url, as_json)
    if detach or place is None:
        return _leave(study, url, place, as_json)
    return _follow(study, url, place, watch, as_json)


def _leave(study: Study, url: str, place: Placement | None, as_json: bool) -> int:
    from hpo.cli.detached import print_detached

    if place is not None:
        place.executor(study, url).start()
    print_detached(study, url, place, as_json)
    return 0


def _follow(study: Study, url: str, place: Placement, watch: Watch, as_json: bool) -> int:
    from hpo.cli.interrupt import Interrupt
    from hpo.cli.live import display
    from hpo.cli.session import Session
    from hpo.cli.summary import print_summary

    executor = place.executor(study, url)
    with Interrupt() as interrupt, display() as shown:
        for line in _opening(study, place):
            shown.say(line)
        last = Session(study, executor, watch, shown, interrupt).run()
    if interrupt.asked:
        say("stopped; nothing is lost: the same command goes on where it stands", err=True)
        return INTERRUPTED
    _write_notes(study)
    return print_summary(last, study.database, url, as_json)


def _write_notes(study: Study) -> None:
    """So that the dashboard has them, whoever serves it; the results are safe without."""
    from hpo.report.dashboard_sync import sync

    try:
        sync(study.database, study.study_id)
    except StorageError as error:
        say(f"the dashboard's notes were not written, hpo dashboard will: {error}", err=True)


def _confirmation(config: StudyConfig) -> str:
    confirm, seeds = config.stop.confirm, config.stop.confirm_seeds
    return f", then the {confirm} likely best with {seeds} new seeds" if confirm else ""


def _opening(study: Study, place: Placement) -> Iterator[str]:
    budget = f"{study.config.stop.trials} trials{_confirmation(study.config)}"
    masked = study.database.url_masked
    yield f"study {study.name}: {budget} on {place.said}, results in {masked}"
    if study.config.execution.executor != "local":
        yield f"the workers' logs: {logs(study)}"
        if masked.startswith("sqlite"):
            yield "SQLite serves one machine: workers on several need PostgreSQL"
    for source in study.sources:
        yield _warm_start(source)


def _warm_start(source: Source) -> str:
    used, left_out = len(source.observations), sum(source.left_out.values())
    said = (
        f"warm start from {text.printable(source.name)}: {used} of its {used + left_out} trials are data of this study"
    )
    if not left_out:
        return said
    reasons = ", ".join(f"{count} by {path}" for path, count in source.left_out.items())
    return f"{said}; the others lie outside of its search space: {reasons}"
