from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import QueryError
from hpo.records import Outcome, TrialOutcome
from hpo.results import store
from hpo.results.engine import Database, connect
from hpo.results.named import named_queries, run_query
from hpo.results.statement import Statement
from tests.results.conftest import Lab, ok, rung

NAMES = [path.stem for path in (Path(__file__).parents[2] / "dashboards" / "queries").glob("*.sql")]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def busy(request: pytest.FixtureRequest, make_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """Two studies with every kind of trial, of each kind of database once: queries change nothing."""
    with connect(request.getfixturevalue(f"{request.param}_shared_url")) as database:
        for name in ("other", "lab"):
            lab = make_lab(database, name)
            _fill(lab, f"w-{name}")
        yield lab


def _fill(lab: Lab, worker: str) -> None:
    for mean in (0.3, 0.1, 0.2):
        trial_id = lab.ask(lr=mean)
        token = lab.begin(trial_id)
        store.report(lab.database, trial_id, token, rung())
        store.finish(lab.database, trial_id, token, ok(mean))
    memory = TrialOutcome(outcome=Outcome.OUT_OF_MEMORY, reason="8 GiB", seconds=1.0)
    store.finish(lab.database, *lab.started(), memory)
    trial_id, token = lab.started()
    store.release(lab.database, trial_id, token)
    store.take_over(lab.database, trial_id, worker, 60.0)
    store.heartbeat(lab.database, worker, host="h", pid=1, device="cpu", trial_id=trial_id)


def _dicts(database: Database, query: str, params: dict[str, object] | None = None) -> list[dict[str, Any]]:
    table = run_query(database, query, params)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_every_query_says_what_it_shows() -> None:
    queries = named_queries()
    assert sorted(queries) == sorted(NAMES)
    assert len(NAMES) >= 8
    assert all(len(query.description) > 20 for query in queries.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_query_answers_for_all_studies_and_for_one(busy: Lab, name: str) -> None:
    everything = _dicts(busy.database, name)
    assert {row["study"] for row in everything} == {"lab", "other"}
    assert {row["study"] for row in _dicts(busy.database, name, {"study": "lab"})} == {"lab"}
    assert _dicts(busy.database, name, {"study": "none"}) == []
    plain = (type(None), bool, int, float, str)
    assert all(isinstance(value, plain) for row in everything for value in row.values())


def test_what_the_queries_say(busy: Lab) -> None:
    of_lab = {"study": "lab"}
    best = _dicts(busy.database, "best", {**of_lab, "top": 2})
    assert [(row["rank"], row["number"], json.loads(row["parameters"])) for row in best] == [
        (1, 1, {"lr": 0.1}),
        (2, 2, {"lr": 0.2}),
    ]
    assert [(row["number"], row["outcome"], row["reason"]) for row in _dicts(busy.database, "failures", of_lab)] == [
        (3, "out_of_memory", "8 GiB")
    ]
    outcomes = {row["outcome"]: (row["trials"], row["share"]) for row in _dicts(busy.database, "outcomes", of_lab)}
    assert outcomes == {"ok": (3, 0.6), "out_of_memory": (1, 0.2), "running": (1, 0.2)}
    assert [row["best_so_far"] for row in _dicts(busy.database, "progress", of_lab)] == [0.3, 0.1, 0.1]
    (lr,) = _dicts(busy.database, "parameters", of_lab)
    assert (lr["parameter"], lr["value_with_it"]) == ("lr", "rises")
    assert lr["correlation_squared"] == pytest.approx(1.0)
    assert [(row["number"], row["attempts"]) for row in _dicts(busy.database, "retried", of_lab)] == [(4, 2)]
    assert [row["trials"] for row in _dicts(busy.database, "devices", of_lab)] == [4]
    assert len(_dicts(busy.database, "slowest", {**of_lab, "top": 1})) == 1
    assert {row["number"] for row in _dicts(busy.database, "curves", {**of_lab, "trial": 2})} == {2}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("bset", r"no query 'bset' \(did you mean 'best'\?\)"),
        ("DELETE FROM hpo_lease", "found 'delete'"),
        ("-- SELECT\nDROP VIEW hpo_trials", "found 'drop'"),
        ("PRAGMA query_only = OFF", "found 'pragma'"),
        ("ATTACH 'x.db' AS x", "found 'attach'"),
        ("   ", "found ''"),
        ("SELECT 1; DELETE FROM hpo_lease", "one statement"),
        ("SELECT 'a;b' /* ; */; -- ;\n SELECT 2", "one statement"),
        ("WITH gone AS (DELETE FROM hpo_lease RETURNING 1) SELECT * FROM gone", "refused"),
        ("WITH one AS (SELECT 1) DELETE FROM hpo_lease", "refused"),
        ("SELECT * FROM nowhere", "refused.*nowhere"),
        ("SELEC 1", "found 'selec'"),
        ("SELECT FROM WHERE", "refused"),
    ],
)
def test_what_may_not_run_changes_nothing(busy: Lab, query: str, expected: str) -> None:
    before = busy.everything()
    with pytest.raises(QueryError, match=expected):
        run_query(busy.database, query)
    assert busy.everything() == before


def test_postgresql_itself_takes_only_one_statement(postgres_made_url: str, make_lab: Callable[..., Lab]) -> None:
    with connect(postgres_made_url) as database:
        lab = make_lab(database)
        before = lab.everything()
        hidden = (
            r"SELECT E'\'' ; COMMIT; DELETE FROM hpo_study; --'"  # E'' strings are not what our lexer takes them for
        )
        with pytest.raises(QueryError, match="multiple commands"):
            run_query(database, hidden)
        assert lab.everything() == before


def test_parameters_and_colons(database: Database) -> None:
    sql = "SELECT '12:30 :no' AS a, CAST(:yes AS TEXT) AS b, CAST(:missing AS TEXT) AS c -- :comment\n;"
    assert run_query(database, sql, {"yes": "x"}).rows == (("12:30 :no", "x", None),)
    with pytest.raises(QueryError, match=r"no parameter 'yess' in this query \(did you mean 'yes'\?\)"):
        run_query(database, sql, {"yess": "x"})


def test_percent_signs(busy: Lab) -> None:
    assert _dicts(busy.database, "SELECT study FROM hpo_studies WHERE study LIKE '%a%' AND 7 % 2 = 1") == [
        {"study": "lab"}
    ]


def test_a_statement_knows_its_parameters() -> None:
    assert Statement("SELECT :a, ':b', \":c\", x::text, $$:d$$, /* :e */ :f").parameters == ["a", "f"]


def test_the_front_of_value_and_seconds(lab: Lab) -> None:
    """Trials 1 and 3 beat 0 and 2; 4 violates a constraint, 5 repeats another trial, 6 failed."""
    for mean, seconds in ((0.3, 9.0), (0.3, 8.0), (0.2, 12.0), (0.1, 12.0), (0.05, 1.0), (0.04, 1.0)):
        store.finish(lab.database, *lab.started(), ok(mean).model_copy(update={"seconds": seconds}))
    store.finish(lab.database, *lab.started(), TrialOutcome(outcome=Outcome.TIMEOUT, reason="slow", seconds=0.1))
    with lab.database.transaction() as connection:
        trial = "(SELECT trial_id FROM trials WHERE number = {})"
        for change, number in (("violated = 'much'", 4), ("confirms = 1", 5)):
            sql = f"UPDATE hpo_trial SET {change} WHERE trial_id IN {trial.format(number)}"
            connection.exec_driver_sql(sql)
    assert [(row["number"], row["seconds"]) for row in _dicts(lab.database, "pareto")] == [(1, 8.0), (3, 12.0)]
