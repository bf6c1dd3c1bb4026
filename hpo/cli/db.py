"""``hpo db upgrade|check``: the database's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hpo.cli.options import examples, json_option, storage_option, storage_url
from hpo.cli.output import to_json
from hpo.cli.terminal import say
from hpo.errors import SchemaMismatch

if TYPE_CHECKING:
    from hpo.results.versions import SchemaState


class _Verbs(click.Group):
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Under the same heading as the main group's."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.get_short_help_str(100)) for name, verb in sorted(self.commands.items())])


@click.group(
    cls=_Verbs,
    subcommand_metavar="VERB ...",
    epilog=examples("hpo db check", "hpo db upgrade --storage sqlite:///old.db"),
)
def db() -> None:
    """Check or upgrade the database's tables."""


@db.command(short_help="Upgrade its tables to this version.", epilog=examples("hpo db upgrade"))
@storage_option
def upgrade(storage: str | None) -> None:
    """Bring Optuna's and hpo's tables and views to this version; repeating it changes nothing.

    Make a copy of the database before: there is no way back.
    """
    from hpo.results import engine, migrate

    with engine.connect(storage_url(storage), check_schema=False) as database:
        before = migrate.check(database)
        after = migrate.upgrade(database)
        say(f"{database.url_masked}: {_change(before, after)}")


@db.command(
    short_help="Check whether the database can be used.",
    epilog=examples("hpo db check --storage postgresql://me@db.example/hpo"),
)
@storage_option
@json_option
def check(storage: str | None, as_json: bool) -> None:
    """Whether the database can be reached and fits this version; exit code 1 where it does not."""
    from hpo.results import engine, migrate, versions

    with engine.connect(storage_url(storage), write=False, check_schema=False) as database:
        state = migrate.check(database)
        if as_json:
            say(to_json(_record(database.url_masked, state)))
        try:
            versions.require_current(database, state)
        except SchemaMismatch:
            if as_json:
                raise click.exceptions.Exit(1) from None
            raise
        if not as_json:
            say(f"{database.url_masked}: good: hpo revision {state.hpo}, Optuna revision {state.optuna}")


def _record(url: str, state: SchemaState) -> dict[str, object]:
    return {
        "storage": url,
        "is_current": state.is_current,
        "hpo": state.hpo,
        "hpo_expected": state.hpo_expected,
        "optuna": state.optuna,
        "optuna_expected": state.optuna_expected,
        "missing_views": list(state.missing_views),
    }


def _change(before: SchemaState, after: SchemaState) -> str:
    if before == after:
        return f"already at hpo revision {after.hpo}, Optuna revision {after.optuna}"
    return (
        f"upgraded: hpo revision {before.hpo or 'none'} -> {after.hpo}, "
        f"Optuna revision {before.optuna or 'none'} -> {after.optuna}"
    )
