"""``hpo query``: the database asked by name or by SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hpo.cli import text
from hpo.cli.options import examples, format_options, open_to_read, storage_option
from hpo.cli.output import Column, show
from hpo.results import named

_LIST = (Column("query", lambda row: row["name"]), Column("shows", lambda row: row["description"]))


@click.command(
    epilog=examples(
        "hpo query --list",
        "hpo query best --set study=quickstart",
        "hpo query 'select number, value from hpo_trials order by value limit 5' --format csv",
    )
)
@click.argument("query", metavar="NAME|SQL", required=False)
@click.option("--list", "listed", is_flag=True, help="The queries that have a name.")
@click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help="A parameter (:key) of the query. May be repeated."
)
@click.option(
    "--timeout",
    type=click.IntRange(1, 86_400),
    default=round(named.TIMEOUT_S),
    show_default=True,
    metavar="SECONDS",
    help="How long the database may take.",
)
@storage_option
@format_options
def query(
    query: str | None, listed: bool, settings: tuple[str, ...], timeout: int, storage: str | None, form: str
) -> None:
    """Run a named query, or one SQL statement that reads; nothing can be changed.

    Views to read: hpo_studies, hpo_trials, hpo_best_configs, hpo_curves, hpo_adaptation_curves, hpo_workers.
    """
    if listed:
        show(
            [{"name": one.name, "description": one.description} for one in named.named_queries().values()], _LIST, form
        )
        return
    if query is None:
        raise click.UsageError("what is asked? Give the name of a query or SQL; --list shows the names")
    params = dict(map(_setting, settings))
    with open_to_read(storage) as database:
        table = named.run_query(database, query, params, timeout)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    columns = [_column(name, [row[name] for row in rows]) for name in table.columns]
    show(rows, columns, form, empty="the query found no rows")


def _setting(written: str) -> tuple[str, object]:
    key, equals, value = written.partition("=")
    if not equals or not key.isidentifier():
        raise click.BadParameter(f"found {written!r}, expected KEY=VALUE", param_hint="--set")
    try:
        return key, int(value)
    except ValueError:
        return key, value


def _column(name: str, values: Sequence[Any]) -> Column:
    numeric = all(value is None or isinstance(value, int | float) for value in values)
    return Column(name, lambda row: _cell(row[name]), right=numeric)


def _cell(value: Any) -> str:
    return "" if value is None else text.scalar(value)
