"""The verbs that read: what people see, and what programs get."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import update

from hpo.cli import devices, output
from hpo.cli.output import Column, as_data, plain_table, show
from hpo.executors.devices import Device
from hpo.results import store
from hpo.results.engine import Database
from hpo.results.schema import hpo_study
from hpo.study import Study
from tests.cli.conftest import Run, as_json

ROWS: list[dict[str, Any]] = [
    {"name": "a [red]", "value": 1.5, "nested": {"x": 1, "y": [1, 2]}},
    {"name": "größe", "value": float("nan"), "nested": {"x": 2}},
]
COLUMNS = [Column("name", lambda row: row["name"]), Column("value", lambda row: str(row["value"]), right=True)]


def test_json_is_valid_even_without_a_number() -> None:
    assert json.loads(as_data(ROWS, "json"))[1]["value"] is None
    assert "größe" in as_data(ROWS, "json")


def test_yaml_holds_the_same() -> None:
    assert yaml.safe_load(as_data(ROWS, "yaml")) == json.loads(as_data(ROWS, "json"))


def test_csv_has_a_column_for_every_key_of_any_row() -> None:
    rows = list(csv.DictReader(io.StringIO(as_data(ROWS, "csv"))))
    assert list(rows[0]) == ["name", "value", "nested.x", "nested.y"]
    assert rows[0]["nested.y"] == "[1, 2]"
    assert rows[1]["nested.y"] == ""


def test_plain_tables_are_aligned() -> None:
    assert plain_table(ROWS, COLUMNS).splitlines() == ["name     value", "a [red]    1.5", "größe      nan"]


def test_a_terminal_gets_a_table_with_names_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output.sys.stdout, "isatty", lambda: True)
    show(ROWS, COLUMNS, "table")
    assert "a [red]" in capsys.readouterr().out


def in_a_terminal_of(
    width: int, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    monkeypatch.setattr(output.sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    show(rows, COLUMNS, "table")
    return capsys.readouterr().out.splitlines()


def test_in_a_narrow_terminal_only_the_widest_text_folds_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"name": "the loss is not a number any more", "value": 123456.75}]
    wide = in_a_terminal_of(80, rows, monkeypatch, capsys)
    assert [len(wide), wide[-1].split()] == [3, [*rows[0]["name"].split(), "123456.75"]]  # no blank line around it
    narrow = in_a_terminal_of(34, rows, monkeypatch, capsys)
    assert [line.split() for line in narrow[2:]] == [
        ["the", "loss", "is", "not", "a", "123456.75"],
        ["number", "any", "more"],
    ]
    assert in_a_terminal_of(20, rows, monkeypatch, capsys) == plain_table(rows, COLUMNS).splitlines()


def test_no_rows_are_explained_to_people_only(run: Run, database: Database) -> None:
    result = run("studies")
    assert result.stdout == ""
    assert "holds no study yet" in result.stderr
    assert as_json(run("studies", "--json")) == []
    assert "holds no study yet" in run("status").stderr


def test_studies(run: Run, study: Study) -> None:
    (row,) = as_json(run("studies", "--format", "json"))
    assert (row["study"], row["trials"], row["complete"], row["pruned"], row["failed"]) == (study.name, 5, 2, 1, 1)
    table = run("studies").stdout.splitlines()
    assert table[0].split()[:3] == ["study", "status", "trials"]
    assert table[1].startswith("lab [bold]  running")


def test_status(run: Run, study: Study) -> None:
    text = run("status").stdout
    assert "lab [bold]: running, 4 of 6 trials ended (2 complete, 1 pruned, 1 failed), 1 running" in text
    assert "best 0.800 ± 0.012, trial 0: inner_lr=" in text
    assert "1.25 ± 0.10" in text
    assert "cuda:0" in text
    assert text == run("status", study.name).stdout


def let_go(study: Study) -> None:
    lease = study.lease_trial("worker-of-the-past", "host-1", "cpu")
    assert lease is not None
    study.release(lease, interrupted=True)


def test_status_tells_that_no_worker_is_there_and_what_was_let_go(run: Run, study: Study, database: Database) -> None:
    let_go(study)
    text = run("status").stdout
    assert "1 running, 1 let go" in text
    assert "no worker: launch its config again, or  hpo worker --study 'lab [bold]'" in text
    store.heartbeat(database, "worker-of-now", host="host-1", pid=1, device="cuda:0", trial_id=None)
    assert "no worker" not in run("status").stdout
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE hpo_worker SET last_seen = last_seen - 3600")
    assert "no worker" in run("status").stdout
    store.set_status(database, study.study_id, "paused")
    assert "no worker" not in run("status").stdout


def test_status_for_programs(run: Run, study: Study) -> None:
    found = as_json(run("status", study.name, "--json"))
    assert found["total"] == 6
    assert found["created"] == as_json(run("studies", "--json"))[0]["created_at"]
    assert found["counts"]["complete"] == 2
    assert found["best"]["number"] == 0
    assert "config" not in found
    assert as_json(run("status", "--json"))[0]["name"] == study.name


def test_best_ranks_by_what_is_likely_and_names_the_luckiest(run: Run, study: Study) -> None:
    result = run("best", study.name)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["rank", "trial", "objective", "expected", "[90%]", "inner_lr"]
    assert [line[:2] for line in lines[1:]] == [["1", "0"], ["2", "1"]]
    assert "0.800 ± 0.012" in result.stdout
    assert "0.795 [0.779, 0.811]" in result.stdout
    assert [line.split("  ")[0] for line in result.stderr.splitlines()] == ["", "luckiest", "likely best"]
    assert "trial 1: 0.790 ± 0.012, the best single training of the search; the surrogate" in result.stderr
    assert "trial 0: 0.795 [0.779, 0.811], what the surrogate expects" in result.stderr


def test_best_names_a_lucky_trial_that_is_not_shown(run: Run, study: Study) -> None:
    result = run("best", study.name, "--top", "1")
    assert len(result.stdout.splitlines()) == 2
    assert "luckiest     trial 1: 0.790 ± 0.012" in result.stderr
    assert "expects 0.810 of it: trials near it did worse\n" in result.stderr


@pytest.mark.parametrize(
    ("expected", "told"), [("0.78", "; the surrogate expects 0.780 of it\n"), ("NULL", "training of the search\n")]
)
def test_best_says_no_more_of_a_lucky_trial_than_is_known(
    expected: str, told: str, run: Run, study: Study, database: Database
) -> None:
    with database.transaction() as connection:
        sql = (
            "UPDATE hpo_trial SET posterior_mean = {} WHERE trial_id IN (SELECT trial_id FROM trials WHERE number = {})"
        )
        connection.exec_driver_sql(sql.format(0.7, 0))
        connection.exec_driver_sql(sql.format(expected, 1))
    (lucky,) = [line for line in run("best", study.name).stderr.splitlines(keepends=True) if "luckiest" in line]
    assert lucky.endswith(told)


def _violating(database: Database, number: int) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE hpo_trial SET violated = 'seconds at most 20: 34'"
            f" WHERE trial_id IN (SELECT trial_id FROM trials WHERE number = {number})"
        )


def test_who_violates_a_constraint_is_marked_and_behind_the_others(run: Run, study: Study, database: Database) -> None:
    _violating(database, 0)
    result = run("best", study.name)
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [["1", "1"], ["2", "0"]]
    heading, satisfying, violating = result.stdout.splitlines()
    column = heading.index("violates")
    assert [line[column:].split("  ")[0] for line in (satisfying, violating)] == ["", "seconds at most 20: 34"]
    assert "likely best  trial 1" in result.stderr
    assert [row["violated"] for row in as_json(run("best", study.name, "--format", "json"))] == [
        None,
        "seconds at most 20: 34",
    ]
    assert "violates         seconds at most 20: 34" in run("show", study.name, "0").stdout
    assert "violates" not in run("show", study.name, "1").stdout
    assert "best 0.790 ± 0.012, trial 1:" in run("status", study.name).stdout
    assert "# Trial 1 of" in run("export", study.name).stdout
    assert "violates seconds at most 20: 34; written by" in run("export", study.name, "--trial", "0").stdout


def test_where_every_trial_violates_constraints_the_best_says_so(run: Run, study: Study, database: Database) -> None:
    for number in (0, 1):
        _violating(database, number)
    assert "trial 0, violates seconds at most 20: 34:" in run("status", study.name).stdout
    assert run("best", study.name).stderr.strip() == ""


def _took(database: Database, number: int, seconds: float) -> None:
    with database.transaction() as connection:
        trial = f"(SELECT trial_id FROM trials WHERE number = {number})"
        connection.exec_driver_sql(f"UPDATE hpo_trial SET seconds = {seconds} WHERE trial_id IN {trial}")


def test_the_front_from_the_cheapest_to_the_best(run: Run, study: Study, database: Database) -> None:
    """Trial 1 is the better one, by 0.79 to 0.80."""
    _took(database, 1, 50.25)
    result = run("best", study.name, "--pareto", "--against", "seconds", "--against", "peak_memory_bytes")
    heading, *rows = [line.split() for line in result.stdout.splitlines()]
    assert heading == ["trial", "objective", "seconds", "peak_memory_bytes", "inner_lr"]
    assert [row[:6] for row in rows] == [
        ["0", "0.800", "±", "0.012", "34", "3,221,225,472"],
        ["1", "0.790", "±", "0.012", "50.25", "3,221,225,472"],
    ]
    assert result.stderr == ""
    found = as_json(run("best", study.name, "--pareto", "--against", "seconds", "--json"))
    assert [(row["number"], row["value"], row["seconds"]) for row in found] == [(0, 0.8, 34.0), (1, 0.79, 50.25)]
    assert list(found[0]["parameters"]) == ["learner.inner_lr"]


@pytest.mark.parametrize(("seconds", "front"), [(34.0, [1]), (20.0, [1])])
def test_who_is_beaten_in_everything_is_on_no_front(
    seconds: float, front: list[int], run: Run, study: Study, database: Database
) -> None:
    _took(database, 1, seconds)
    found = as_json(run("best", study.name, "--pareto", "--against", "seconds", "--json"))
    assert [row["number"] for row in found] == front


def test_who_violates_a_constraint_is_on_no_front(run: Run, study: Study, database: Database) -> None:
    _violating(database, 1)
    found = as_json(run("best", study.name, "--pareto", "--against", "seconds", "--json"))
    assert [row["number"] for row in found] == [0]
    _violating(database, 0)
    result = run("best", study.name, "--pareto", "--against", "seconds")
    assert (result.stdout, "that violates no constraint" in result.stderr) == ("", True)


def test_a_front_is_of_what_the_study_trades(run: Run, study: Study, database: Database) -> None:
    result = run("best", study.name, "--pareto", code=2)
    assert "traded against nothing: name a measurement, such as --against seconds" in result.stderr
    assert "--against goes with --pareto" in run("best", study.name, "--against", "seconds", code=2).stderr
    config = {**study.config.meaning(), "objective": {"metric": "query_loss", "against": ["meta_parameters"]}}
    with database.transaction() as connection:
        connection.execute(update(hpo_study).values(config=config))
    assert "meta_parameters" in run("best", study.name, "--pareto").stdout
    assert "minimizes query_loss against meta_parameters;" in run("status", study.name).stdout


@pytest.mark.parametrize("form", ["json", "yaml", "csv"])
def test_best_for_programs_is_nothing_but_data(form: str, run: Run, study: Study) -> None:
    result = run("best", study.name, "--format", form, "--top", "1")
    assert result.stderr == ""
    if form == "csv":
        (row,) = csv.DictReader(io.StringIO(result.stdout))
        assert row["number"] == "0"
        assert float(row["parameters.learner.inner_lr"]) > 0
    else:
        (row,) = yaml.safe_load(result.stdout)
        assert (row["rank"], row["number"], row["value"], row["posterior_mean"]) == (1, 0, 0.8, 0.795)
        assert (row["posterior_sd"], row["confirmed_mean"], row["behind_mean"]) == (0.01, None, None)
        assert (row["is_luckiest"], row["is_likely_best"]) == (False, True)


def test_show(run: Run, study: Study) -> None:
    text = run("show", study.name, "0").stdout
    for part in ("trial 0 of lab [bold]", "outcome          ok", "0.800 ± 0.012", "3.0 GiB", "34 s", "host-1 cpu"):
        assert part in text
    for part in (
        "gradients        accelerated",
        "hidden_size: 4",
        "adaptation on 4 validation tasks",
        "1.800 ± 0.050",
        "accuracy",
    ):
        assert part in text


def test_show_says_why_a_trial_failed(run: Run, study: Study) -> None:
    text = run("show", study.name, "3").stdout
    assert "diverged" in text
    assert "the loss is nan [/red]" in text


def test_show_of_a_trial_that_was_let_go_has_only_what_is_known(run: Run, study: Study) -> None:
    let_go(study)
    text = run("show", study.name, "5").stdout
    assert "outcome          let go, to be continued" in text
    for name in ("objective  ", "time  ", "peak memory  ", "gradients  ", "ended  "):
        assert f"  {name}" not in text


def test_show_expects_a_number(run: Run, study: Study) -> None:
    assert "'x', expected a trial's number" in run("show", study.name, "x", code=2).stderr


def test_show_for_programs(run: Run, study: Study) -> None:
    found = as_json(run("show", study.name, "0", "--json"))
    assert found["config"]["model"]["cell"] == "gru"
    assert found["gradients"] == "accelerated"
    assert found["curves"][0]["points"][1]["loss"]["mean"] == 0.8
    assert found["reports"][0]["meta_iteration"] == 2


def test_named_queries(run: Run, study: Study) -> None:
    names = [row["name"] for row in as_json(run("query", "--list", "--json"))]
    assert {"best", "failures", "slowest"} <= set(names)
    (row,) = as_json(run("query", "failures", "--json"))
    assert row["number"] == 3
    assert as_json(run("query", "best", "--set", "study=nowhere", "--json")) == []
    assert len(as_json(run("query", "best", "--set", f"study={study.name}", "--set", "top=1", "--json"))) == 1


def test_sql(run: Run, study: Study) -> None:
    result = run("query", "select number, reason from hpo_trials where outcome = 'diverged'")
    assert result.stdout.splitlines() == ["number  reason", "     3  meta-iteration 3: the loss is nan [/red]"]
    assert "found no rows" in run("query", "select 1 where 1 = 2").stderr


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    gpus = [Device(f"cuda:{index}", "NVIDIA H100", 80 * 2**30, f"GPU-{index}", 60 * 2**30) for index in range(2)]
    monkeypatch.setattr(devices.found, "gpus", lambda: gpus)
    return iter(())


@pytest.mark.usefixtures("two_gpus")
def test_devices(run: Run) -> None:
    lines = run("devices").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["device", "cpu", "cuda:0", "cuda:1"]
    assert lines[1].split()[-5:] == ["not", "used:", "there", "are", "GPUs"]
    assert lines[2].split()[3:] == ["80.0", "GiB", "60.0", "GiB", "used", "GPU-0"]
    assert as_json(run("devices", "--json"))[1]["memory_bytes"] == 80 * 2**30


def test_the_storage_comes_from_the_option_before_the_environment(
    run: Run, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_STORAGE", f"sqlite:///{Path('elsewhere.db').absolute()}")
    assert "elsewhere.db" in run("studies", code=1).stderr
    assert study.name in run("studies", "--storage", "sqlite:///hpo.db").stdout


@pytest.mark.parametrize(
    ("option", "environment", "config", "expected"),
    [
        ("a", "b", "c", "a"),
        (None, "b", "c", "b"),
        (None, None, "c", "c"),
        (None, None, None, "sqlite:///hpo.db"),
    ],
)
def test_the_order_of_storages(
    option: str, environment: str, config: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpo.cli.options import storage_url

    monkeypatch.delenv("HPO_STORAGE", raising=False)
    if environment:
        monkeypatch.setenv("HPO_STORAGE", environment)
    assert storage_url(option, config) == expected


def test_db(run: Run, database: Database) -> None:
    assert "good" in run("db", "check").stdout
    assert as_json(run("db", "check", "--json"))["is_current"] is True
    assert "already at" in run("db", "upgrade").stdout
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP VIEW hpo_trials")
    assert "hpo db upgrade" in run("db", "check", code=1).stderr
    assert as_json(run("db", "check", "--json", code=1))["missing_views"] == ["hpo_trials"]
    assert "upgraded" in run("db", "upgrade").stdout
    assert "good" in run("db", "check").stdout


def test_db_upgrade_of_a_database_of_an_older_hpo(run: Run, folder: Path) -> None:
    file = sqlite3.connect(folder / "hpo.db")
    file.executescript((Path(__file__).parent.parent / "results" / "r0001" / "sqlite.sql").read_text())
    file.close()
    assert "revision 0001, expected" in run("show", "lab", "0", code=1).stderr
    assert "upgraded: hpo revision 0001 -> " in run("db", "upgrade").stdout
    found = as_json(run("show", "lab", "0", "--json"))
    assert (found["value"], found["seconds"], found["gradients"]) == (0.5, 12.5, None)
    assert "gradients  " not in run("show", "lab", "0").stdout
