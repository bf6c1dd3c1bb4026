"""``hpo``: the verbs, and what people see of an error. A verb's module is imported only when that verb is used."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

import click

import hpo
from hpo.cli.interrupt import INTERRUPTED
from hpo.cli.terminal import say
from hpo.errors import HpoError


class Verb(NamedTuple):
    """``target`` is ``module:object`` below hpo.cli."""

    name: str
    target: str
    help: str


VERBS = (  # by how often they are used
    Verb("launch", "launch:launch", "Run a study: create it or go on with it, show its progress."),
    Verb("status", "studies:status", "How far a study is, and what runs."),
    Verb("best", "best:best", "The best configs of a study."),
    Verb("show", "show:show", "Everything about one trial."),
    Verb("dashboard", "dashboard:dashboard", "Open optuna-dashboard on the database."),
    Verb("export", "export:export", "Write a trial's config to a file that trains alone."),
    Verb("train", "train:train", "Train one config with several seeds and test it; or compare two."),
    Verb("adapt", "adapt:adapt", "Adapt a trained learner to a task of your own, and predict."),
    Verb("query", "query:query", "Ask the database by a named query or by SQL."),
    Verb("studies", "studies:studies", "All studies of the database."),
    Verb("pause", "control:pause", "Let the running trials go; `hpo resume` continues them."),
    Verb("resume", "control:resume", "Let workers take a paused or stopped study's trials again."),
    Verb("stop", "control:stop", "End a study before all its trials are done."),
    Verb("worker", "worker:worker", "Work on studies by hand: on another machine or GPU."),
    Verb("learners", "learners:learners", "The meta-learners that a config can name, and what of them can be tuned."),
    Verb("devices", "devices:devices", "The devices that trials can run on here."),
    Verb(
        "accelerate", "accelerate:accelerate", "Build what makes trials on the CPU faster, before the first one does."
    ),
    Verb("db", "db:db", "Check or upgrade the database's tables."),
)
_TARGETS = {verb.name: verb.target for verb in VERBS}


class Verbs(click.Group):
    """A group whose commands are imported when they are used, and whose errors are one message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the table's order."""
        return list(_TARGETS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the verb's module."""
        if cmd_name not in _TARGETS:
            return None
        module, _, name = _TARGETS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"hpo.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises UsageError with the nearest verb where there is none of that name."""
        if args[0] not in _TARGETS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], _TARGETS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of: {', '.join(_TARGETS)}"
            raise click.UsageError(f"there is no verb {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, so that help imports nothing."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb.name, verb.help) for verb in VERBS])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs one command line and ends the process, like click's own, but with hpo's errors and exit codes."""
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        return sys.exit(exit_code(run)) if standalone_mode else run()


def exit_code(run: Callable[[], object]) -> int:
    """What the process ends with; an error is said on standard error, as one message without a traceback."""
    try:
        result = run()
    except HpoError as error:
        return _failed(str(error), error.exit_code)
    except click.ClickException as error:
        return _refused(error)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted", err=True)
        return INTERRUPTED
    except Exception as error:
        bug = f"{type(error).__name__}: {error}\nThis is a bug in hpo: HPO_DEBUG=1 shows where it happened."
        return _failed(bug, 1)
    return result if isinstance(result, int) else 0  # ctx.exit(code) comes back as the result


def _failed(message: str, code: int) -> int:
    if os.environ.get("HPO_DEBUG") == "1":
        traceback.print_exc()
    say(f"error: {message}", err=True)
    return code


def _refused(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    message = error.format_message()
    say(f"error: {message[:1].lower()}{message[1:]}", err=True)
    if (context := getattr(error, "ctx", None)) is not None:
        say(f"see  {context.command_path} --help", err=True)
    return error.exit_code


@click.command(
    cls=Verbs,
    subcommand_metavar="VERB ...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  hpo launch study_configs/quickstart.yaml\n  hpo best quickstart",
)
@click.version_option(hpo.__version__, message="hpo %(version)s")
def cli() -> None:
    """Tune recurrent meta-learners: Gaussian-process studies in a SQL database, trials on your GPUs or CPU."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the console script."""
    cli.main(args=arguments, prog_name="hpo")
    raise AssertionError("unreachable: main ends the process")


if __name__ == "__main__":
    main()
