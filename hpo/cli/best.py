"""``hpo best``: the ranking of a study's configs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hpo.cli import text
from hpo.cli.options import examples, format_options, open_to_read, storage_option
from hpo.cli.output import Column, show
from hpo.cli.progress import EndedTrial, best_of
from hpo.cli.summary import best_record
from hpo.cli.watch import ended_trials
from hpo.results import queries
from hpo.results.engine import Database
from hpo.results.rows import StudyRow


@click.command(epilog=examples("hpo best quickstart", "hpo best quickstart --top 3 --format yaml"))
@click.argument("study")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many.")
@storage_option
@format_options
def best(study: str, top: int, storage: str | None, form: str) -> None:
    """The best configs of STUDY, likely best first: by the surrogate's posterior mean where known, else by value."""
    with open_to_read(storage) as database:
        found = queries.study(database, study)
        rows = [best_record(row) for row in queries.best(database, study, top)]
        lucky = _lucky(database, found, rows) if form == "table" and rows else None
        marked = lucky.number if lucky is not None else None
        show(rows, columns(rows, marked), form, empty=f"no trial of {study!r} was trained to its end yet")
    if lucky is not None:
        observed = f"{text.of(lucky.objective)} of trial {lucky.number}"
        click.echo(f"* the best single observation, {observed}: the surrogate takes it for luck", err=True)


def columns(rows: Sequence[dict[str, Any]], marked: int | None = None) -> list[Column]:
    """Rank, trial, objective, then a column for each parameter; the trial of number ``marked`` gets a star."""
    fixed = [
        Column("rank", lambda row: str(row["rank"]), right=True),
        Column("trial", lambda row: str(row["number"]), right=True),
        Column("objective", lambda row: text.estimate(row["value"], row["sem"]) + " *" * (row["number"] == marked)),
    ]
    if any(row["posterior_mean"] is not None for row in rows):
        fixed.append(Column("expected", lambda row: text.estimate(row["posterior_mean"]), right=True))
    names = list(dict.fromkeys(name for row in rows for name in row["parameters"]))
    pairs = zip(names, text.short_names(names), strict=True)
    return [*fixed, *(_parameter(name, short) for name, short in pairs)]


def _parameter(name: str, heading: str) -> Column:
    def cell(row: dict[str, Any]) -> str:
        return text.scalar(row["parameters"][name]) if name in row["parameters"] else ""  # inactive in this trial

    return Column(heading, cell, right=True)


def _lucky(database: Database, study: StudyRow, rows: Sequence[dict[str, Any]]) -> EndedTrial | None:
    """The best observation, where it is not the likely best's."""
    best_observed = best_of(ended_trials(database, study.name), study.direction)
    if best_observed is None or best_observed.number == rows[0]["number"]:
        return None
    return best_observed
