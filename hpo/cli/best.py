"""``hpo best``: the ranking of a study's configs, or the front of those that nobody beats in everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import click

from hpo.cli import text
from hpo.cli.front import front_columns, front_records
from hpo.cli.options import examples, format_options, open_to_read, storage_option
from hpo.cli.output import Column, show
from hpo.cli.parameters import parameter_columns
from hpo.cli.summary import best_record, verdict_lines
from hpo.cli.terminal import say
from hpo.config.training import Measurement
from hpo.errors import InputError
from hpo.report.verdicts import Verdicts
from hpo.results import queries
from hpo.results.database import Database
from hpo.tradeoffs import traded_against


@click.command(
    epilog=examples(
        "hpo best quickstart",
        "hpo best quickstart --top 3 --format yaml",
        "hpo best quickstart --pareto --against seconds",
    )
)
@click.argument("study")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many configs.")
@click.option("--pareto", is_flag=True, help="All configs that no other one beats in everything, the cheapest first.")
@click.option(
    "--against",
    type=click.Choice(get_args(Measurement)),
    multiple=True,
    help="With --pareto: what the objective is traded against; may be repeated.  [default: objective.against]",
)
@storage_option
@format_options
def best(study: str, top: int, pareto: bool, against: tuple[str, ...], storage: str | None, form: str) -> None:
    """The best configs of STUDY: the confirmed first, by the mean over their new seeds; the others by the surrogate's
    posterior mean where known, else by value; those that violate a constraint last. Below, the luckiest, the likely
    best and the confirmed, named as such."""
    if against and not pareto:
        raise click.UsageError("--against goes with --pareto")
    with open_to_read(storage) as database:
        if pareto:
            _show_front(database, study, against, form)
        else:
            _show_ranking(database, study, top, form)


def _show_ranking(database: Database, study: str, top: int, form: str) -> None:
    found = Verdicts.of(database, queries.study(database, study))
    rows = [best_record(row, found) for row in queries.best(database, study, top)]
    show(rows, columns(rows), form, empty=f"no trial of {study!r} was trained to its end yet")
    if form == "table" and rows:
        say("\n".join(["", *verdict_lines(found)]), err=True)


def _show_front(database: Database, name: str, against: Sequence[str], form: str) -> None:
    study = queries.study(database, name)
    against = tuple(dict.fromkeys(against)) or traded_against(study.config)
    if not against:
        raise InputError(
            f"the objective of {name!r} is traded against nothing: name a measurement, such as --against seconds,"
            " or search for a front: objective.against in the config of a new study"
        )
    rows = front_records(study, queries.study_trials(database, name), against)
    empty = f"no trial of {name!r} that violates no constraint was trained to its end yet"
    show(rows, front_columns(rows, against), form, empty=empty)


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
    return [*fixed, *parameter_columns(rows)]


def _confirmed(row: dict[str, Any]) -> str:
    if row["confirmed_seeds"] is None:
        return ""
    failed = f", {row['confirmed_failed']} failed" if row["confirmed_failed"] else ""
    return text.estimate(row["confirmed_mean"], row["confirmed_sem"]) + failed


def _behind(row: dict[str, Any]) -> str:
    return text.estimate(row["behind_mean"], row["behind_sem"]) if row["behind_mean"] is not None else ""
