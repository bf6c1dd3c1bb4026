"""``hpo best``: the ranking of a study's configs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hpo.cli import text
from hpo.cli.options import examples, format_options, open_to_read, storage_option
from hpo.cli.output import Column, show
from hpo.cli.summary import best_record, verdict_lines
from hpo.report.verdicts import Verdicts
from hpo.results import queries


@click.command(epilog=examples("hpo best quickstart", "hpo best quickstart --top 3 --format yaml"))
@click.argument("study")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many configs.")
@storage_option
@format_options
def best(study: str, top: int, storage: str | None, form: str) -> None:
    """The best configs of STUDY: the confirmed first, by the mean over their new seeds; the others by the surrogate's
    posterior mean where known, else by value; those that violate a constraint last. Below, the luckiest, the likely
    best and the confirmed, named as such."""
    with open_to_read(storage) as database:
        found = Verdicts.of(database, queries.study(database, study))
        rows = [best_record(row, found) for row in queries.best(database, study, top)]
    show(rows, columns(rows), form, empty=f"no trial of {study!r} was trained to its end yet")
    if form == "table" and rows:
        click.echo("\n".join(["", *verdict_lines(found)]), err=True)


def columns(rows: Sequence[dict[str, Any]]) -> list[Column]:
    """Rank, trial, objective, what is known beyond that one training, then a column for each parameter."""
    fixed = [
        Column("rank", lambda row: str(row["rank"]), right=True),
        Column("trial", lambda row: str(row["number"]), right=True),
        Column("objective", lambda row: text.estimate(row["value"], row["sem"])),
    ]
    if any(row["objective_inner_steps"] is not None for row in rows):
        fixed.append(Column("test-time steps", lambda row: text.scalar(row["objective_inner_steps"]), right=True))
    if any(row["confirmed_seeds"] is not None for row in rows):
        fixed += [Column("confirmed", _confirmed), Column("behind the best", _behind)]
    if any(row["posterior_mean"] is not None for row in rows):
        fixed.append(Column("expected [90%]", lambda row: text.interval(row["posterior_mean"], row["posterior_sd"])))
    if any(row["violated"] is not None for row in rows):
        fixed.append(Column("violates", lambda row: row["violated"] or ""))
    names = list(dict.fromkeys(name for row in rows for name in row["parameters"]))
    pairs = zip(names, text.short_names(names), strict=True)
    return [*fixed, *(_parameter(name, short) for name, short in pairs)]


def _confirmed(row: dict[str, Any]) -> str:
    if row["confirmed_seeds"] is None:
        return ""
    failed = f", {row['confirmed_failed']} failed" if row["confirmed_failed"] else ""
    return text.estimate(row["confirmed_mean"], row["confirmed_sem"]) + failed


def _behind(row: dict[str, Any]) -> str:
    return text.estimate(row["behind_mean"], row["behind_sem"]) if row["behind_mean"] is not None else ""


def _parameter(name: str, heading: str) -> Column:
    def cell(row: dict[str, Any]) -> str:
        return text.scalar(row["parameters"][name]) if name in row["parameters"] else ""  # inactive in this trial

    return Column(heading, cell, right=True)
