"""Names, reasons and notes are shown as they are: a terminal does not obey them, a database or a shell neither."""

from __future__ import annotations

import csv
import json
import logging
import shlex
from collections.abc import Callable
from io import StringIO

import optuna
import pytest
import yaml
from rich.console import Console

from hpo.cli import output
from hpo.cli.live import LiveDisplay
from hpo.cli.progress import Progress
from hpo.cli.terminal import printable, say
from hpo.cli.worker import _Lines
from hpo.config import StudyConfig
from hpo.errors import ConfigError
from hpo.results import queries
from hpo.results.engine import Database
from hpo.study import Study
from tests.cli.conftest import RAW, Run

MakeStudy = Callable[..., Study]
STEERING = "\x1b[31mred\x1b]0;title\x07\x9b31m\u202eevil\rover"
TAKEN = [
    "it's; DROP TABLE trials; --",
    'say "no"',
    "<script>alert(1)</script>",
    "$(touch x) `y` && z",
    "[bold]",
    "ü" * 200,
]
REFUSED = ["", " x", "x ", "-x", "a\nb", "a\tb", STEERING, "a\0b", "x" * 201, "x" * 10_000, "\u2028"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_is_no_plain_line_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name: found"):
        StudyConfig.from_dict({**RAW, "name": name})


@pytest.mark.parametrize("name", TAKEN)
def test_any_other_name_goes_through_every_verb(run: Run, database: Database, make_study: MakeStudy, name: str) -> None:
    reason = f"{name} {STEERING}\n{'x' * 10_000}"
    make_study(database, name, reason)
    assert json.loads(run("studies", "--json").stdout)[0]["study"] == name
    assert json.loads(run("show", name, "1", "--json").stdout)["reason"] == reason
    assert name in run("status", name).stdout
    assert name in run("show", name, "1").stdout
    assert yaml.safe_load(run("export", name).stdout)["name"].startswith(name[:190])
    assert name in run("query", "failures", "--set", f"study={name}", "--format", "csv").stdout.replace('""', '"')
    for verb in ("best", "pause", "stop", "resume"):
        run(verb, name)
    assert shlex.quote(name) in run("resume", name).stderr
    assert queries.study(database, name).status == "running"


def outputs(run: Run, name: str) -> list[str]:
    made = [
        run("studies"),
        run("studies", "--json"),
        run("status"),
        run("show", "lab", "1"),
        run("show", "lab", "1", "--json"),
        run("query", "failures"),
        run("query", f"select '{name}' as n, '{name}' as \"{name}\"", "--format", "table"),
        run("status", name, code=2),
        run("best", "nothing", code=2),
        run("pause", name, code=2),
        run("query", f"select * from '{name}'", code=2),
        run(name, code=2),
        run("launch", name, code=2),
        run("studies", "--storage", name, code=2),
    ]
    return [text for result in made for text in (result.stdout, result.stderr)]


def test_a_terminal_is_not_steered(run: Run, database: Database, make_study: MakeStudy) -> None:
    """Another program's study may have any name; a reason may be whatever a library says."""
    make_study(database, reason=STEERING)
    optuna.create_study(study_name=STEERING, storage=database.optuna_storage)
    for text in outputs(run, STEERING):
        assert all(char.isprintable() or char == "\n" for char in text), text


@pytest.mark.parametrize("form", ["csv", "yaml", "json"])
def test_data_is_exact_for_programs_and_harmless_for_people(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown(is_terminal: bool) -> str:
        monkeypatch.setattr(output.sys.stdout, "isatty", lambda: is_terminal, raising=False)
        output.show([{"reason": STEERING}], (), form)
        return capsys.readouterr().out

    exact = shown(is_terminal=False)
    read = {"csv": lambda: list(csv.DictReader(StringIO(exact, newline=""))), "json": lambda: json.loads(exact)}
    assert read.get(form, lambda: yaml.safe_load(exact))() == [{"reason": STEERING}]
    assert all(char.isprintable() or char == "\n" for char in shown(is_terminal=True))


def test_what_is_said_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\ntwo\x1b[31m \udc80 größe")
    assert capsys.readouterr().out == "one\ntwo\\x1b[31m \\udc80 größe\n"


def test_nor_is_it_by_a_log() -> None:
    record = logging.LogRecord("hpo", logging.INFO, "file", 1, "trial of %s", (f"a\nINFO forged {STEERING}",), None)
    assert _Lines("%(levelname)s %(message)s").format(record) == f"INFO trial of a\\nINFO forged {printable(STEERING)}"


def test_nor_by_live_progress() -> None:
    stream = StringIO()
    console = Console(file=stream, force_terminal=False, width=200)
    with LiveDisplay(console) as shown:
        shown.update(Progress(STEERING, "running", "minimize", 3))
        shown.say(STEERING)
    assert "\x1b" not in stream.getvalue()
    assert "\x9b" not in stream.getvalue()
