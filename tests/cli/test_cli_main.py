"""What the command line is before any verb runs: its help, its speed, its errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hpo.cli import devices, main
from hpo.cli.main import VERBS, cli
from hpo.errors import InputError, StorageUnreachable

GOLDEN = Path(__file__).parent.parent / "golden" / "help"
HEAVY = ("torch", "botorch", "optuna", "sqlalchemy", "pydantic", "rich", "numpy", "yaml", "alembic")
COMMANDS = [(), *((verb.name,) for verb in VERBS), ("db", "check"), ("db", "upgrade")]


def output_of(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom hpo.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    print('code', end.code)\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert output_of(code).splitlines()[-2:] == ["code 0", "heavy: []"]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda command: "-".join(command) or "hpo")
def test_help_texts(arguments: tuple[str, ...]) -> None:
    """``HPO_WRITE_GOLDEN=1 pytest tests/cli/test_cli_main.py`` writes them anew."""
    result = CliRunner().invoke(cli, [*arguments, "--help"], prog_name="hpo", terminal_width=100)
    golden = GOLDEN / ("-".join(("hpo", *arguments)) + ".txt")
    if os.environ.get("HPO_WRITE_GOLDEN") == "1":
        GOLDEN.mkdir(parents=True, exist_ok=True)
        golden.write_text(result.output)
    assert result.exit_code == 0
    assert result.output == golden.read_text()
    assert "Example" in result.output.splitlines()[-3:][0] + "".join(result.output.splitlines()[-4:])


def test_no_golden_help_is_left_of_a_verb_that_is_gone() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {"-".join(("hpo", *command)) for command in COMMANDS}


def test_every_verb_is_a_command_of_its_name() -> None:
    with click.Context(cli) as context:
        commands = [cli.get_command(context, verb.name) for verb in VERBS]
    assert [command.name for command in commands if command is not None] == [verb.name for verb in VERBS]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["stats"], "there is no verb 'stats'; did you mean 'status'?"),
        (["xyzzy"], "there is no verb 'xyzzy'; expected one of: launch, status"),
        (["best", "lab", "--formt", "csv"], "no such option '--formt'"),
        (["best", "lab", "--formt", "csv"], "'--format'?"),
        (["best", "lab", "--format", "xml"], "'xml' is not one of"),
        (["best", "lab", "--top", "0"], "0 is not in the range"),
        (["best"], "missing argument 'STUDY'"),
        (["launch", "a.yaml", "b.yaml"], "unexpected extra argument"),
        (["train", "a.yaml", "b.yaml", "c.yaml"], "found 3 configs, expected one, or two"),
        (["train", "a.yaml", "a.yaml"], "found a.yaml twice"),
        (["query"], "give the name of a query or SQL"),
    ],
)
def test_usage_errors(arguments: list[str], expected: str) -> None:
    result = CliRunner().invoke(cli, arguments, prog_name="hpo")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert expected.lower() in result.stderr.lower()
    assert "--help" in result.stderr


def test_without_a_verb_the_help_is_shown() -> None:
    result = CliRunner().invoke(cli, [], prog_name="hpo")
    assert result.exit_code == 2
    assert "launch" in result.output
    assert "error" not in result.output


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (InputError("bad"), 2, "error: bad\n"),
        (StorageUnreachable("gone"), 1, "error: gone\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (ZeroDivisionError("x"), 1, "error: ZeroDivisionError: x\nThis is a bug in hpo"),
    ],
)
def test_errors_are_one_message_and_an_exit_code(
    error: BaseException, code: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.delenv("HPO_DEBUG", raising=False)
    monkeypatch.setattr(devices.found, "gpus", fail)
    result = CliRunner().invoke(cli, ["devices"], prog_name="hpo")
    assert result.exit_code == code
    assert expected in result.stderr
    assert "Traceback" not in result.stderr


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setenv("HPO_DEBUG", "1")
    monkeypatch.setattr(devices.found, "gpus", fail)
    assert "Traceback" in CliRunner().invoke(cli, ["devices"], prog_name="hpo").stderr


def test_the_console_script_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.found, "gpus", lambda: [])
    with pytest.raises(SystemExit) as end:
        main.main(["devices", "--json"])
    assert end.value.code == 0


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m hpo.cli.main query --list --format json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "["
    assert done.stderr == ""
