"""``hpo best``: the ranking of a study's configs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hpo.cli import text
from hpo.cli.options import examples, format_options, open_to_read, storage_option
from hpo.cli.output import Column, show
from hpo.cli.summary import best_record, expected_of, luckier
from hpo.results import queries
from hpo.results.rows import BestRow


@click.command(epilog=examples("hpo best quickstart", "hpo best quickstart --top 3 --format yaml"))
@click.argument("study")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many configs.")
@storage_option
@format_options
def best(study: str, top: int, storage: str | None, form: str) -> None:
    """The best configs of STUDY, likely best first: by the surrogate's posterior mean where known, else by value."""
    with open_to_read(storage) as database:
        found = queries.study(database, study)
        rows = [best_record(row) for row in queries.best(database, study, top)]
        lucky = luckier(database, found) if form == "table" else None
    marked = lucky.number if lucky is not None else None
    show(rows, columns(rows, marked), form, empty=f"no trial of {study!r} was trained to its end yet")
    if lucky is not None:
        click.echo(_footnote(lucky, found.direction, top), err=True)


def _footnote(lucky: BestRow, direction: str, top: int) -> str:
    observed, expected = text.estimate(lucky.value, lucky.sem), expected_of(lucky, direction)
    if lucky.rank <= top:
        return f"* the best single observation, {observed} of trial {lucky.number}{expected}"
    return f"the best single observation, {observed}, is trial {lucky.number}'s, rank {lucky.rank}{expected}"


def columns(rows: Sequence[dict[str, Any]], marked: int | None = None) -> list[Column]:
    """Rank, trial, objective, then a column for each parameter; the trial of number ``marked`` gets a star."""
    fixed = [
        Column("rank", lambda row: str(row["rank"]), right=True),
        Column("trial", lambda row: str(row["number"]), right=True),
        Column("objective", lambda row: text.estimate(row["value"], row["sem"]) + " *" * (row["number"] == marked)),
    ]
    if any(row["posterior_mean"] is not None for row in rows):
        fixed.append(Column("expected [90%]", lambda row: text.interval(row["posterior_mean"], row["posterior_sd"])))
    names = list(dict.fromkeys(name for row in rows for name in row["parameters"]))
    pairs = zip(names, text.short_names(names), strict=True)
    return [*fixed, *(_parameter(name, short) for name, short in pairs)]


def _parameter(name: str, heading: str) -> Column:
    def cell(row: dict[str, Any]) -> str:
        return text.scalar(row["parameters"][name]) if name in row["parameters"] else ""  # inactive in this trial

    return Column(heading, cell, right=True)
