from __future__ import annotations

import contextlib
import json
import time
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


HOSTILE = [
    "EXPLAIN ANALYZE DELETE FROM hpo_lease",
    "SELECT 1 /* ; */ ; /* ; */ DELETE FROM hpo_lease",
    "/* SELECT */ DELETE FROM hpo_lease",
    "--\nSELECT\n;--\nDELETE FROM hpo_lease",
    "WITH gone AS (UPDATE hpo_study SET status = 'done' RETURNING 1) SELECT * FROM gone",
    "SELECT 1 UNION DELETE FROM hpo_lease",
    "SELECT '\udc80'",
    "SELECT 1 \0; DELETE FROM hpo_lease",
    "SELECT " + "(" * 5_000,
    "SELECT '" + "x" * 10_000,
    "SELECT " + "$a$" * 3_333,
    "x" * 10_000,
    "'; DROP TABLE trials; --",
]
OF_POSTGRESQL = [
    "SELECT set_config('transaction_read_only', 'off', false)",
    "WITH off AS (SELECT set_config('transaction_read_only', 'off', true)) SELECT * FROM off FOR UPDATE",
    "SET TRANSACTION READ WRITE",
    "SELECT * INTO stolen FROM hpo_study",
    "SELECT * FROM hpo_study FOR UPDATE",
    "SELECT setval('studies_study_id_seq', 1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT query_to_xml('DELETE FROM hpo_study', true, true, '')",
    "COPY hpo_study TO PROGRAM 'cat > /tmp/stolen'",
    "COPY (SELECT 1) TO '/tmp/stolen'",
    "DO $$ BEGIN DELETE FROM hpo_study; END $$",
    "CALL anything()",
    "EXPLAIN ANALYZE EXECUTE anything",
    r"SELECT E'\'; COMMIT; DELETE FROM hpo_study; --'",
]
OF_SQLITE = [
    "ATTACH 'other.db' AS other",
    "PRAGMA journal_mode = DELETE",
    "SELECT * FROM pragma_query_only(0)",
    "SELECT load_extension('anything')",
    "SELECT writefile('stolen', 'x')",
    "SELECT fts3_tokenizer('simple', x'00')",
    "VACUUM INTO 'stolen.db'",
    "REPLACE INTO hpo_lease SELECT * FROM hpo_lease",
    "WITH one AS (SELECT 1) UPDATE hpo_study SET status = 'done'",
    "SELECT randomblob(2000000000)",
]


@pytest.mark.parametrize("query", HOSTILE)
def test_a_hostile_query_changes_nothing(busy: Lab, query: str) -> None:
    before = busy.everything()
    with pytest.raises(QueryError):
        run_query(busy.database, query)
    assert busy.everything() == before


@pytest.mark.parametrize("query", OF_POSTGRESQL + OF_SQLITE)
def test_nor_does_one_in_the_words_of_a_database(busy: Lab, query: str) -> None:
    """Every one of them is refused by both: one does not know the other's functions."""
    before = busy.everything()
    with pytest.raises(QueryError):
        run_query(busy.database, query)
    assert busy.everything() == before
    assert not Path("stolen").exists()
    assert not Path("/tmp/stolen").exists()


def test_what_is_explained_is_not_done(busy: Lab) -> None:
    before = busy.everything()
    analyze = "ANALYZE CREATE TABLE made AS SELECT 1" if busy.database.dialect == "postgresql" else "DROP TABLE trials"
    run_query(busy.database, f"EXPLAIN {analyze}")
    assert busy.everything() == before
    with pytest.raises(QueryError, match="made"):
        run_query(busy.database, "SELECT * FROM made")


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_query_that_takes_too_long_is_ended(busy: Lab) -> None:
    begun = time.monotonic()
    with pytest.raises(QueryError, match=r"no answer after 0\.3 s: .* --timeout"):
        run_query(busy.database, ENDLESS, timeout_s=0.3)
    assert 0.3 <= time.monotonic() - begun < 20
    if busy.database.dialect == "postgresql":
        with pytest.raises(QueryError, match="no answer"):
            run_query(busy.database, "SELECT set_config('statement_timeout', '0', false), pg_sleep(60)", timeout_s=0.3)
    assert run_query(busy.database, "SELECT 1", timeout_s=5.0).rows == ((1,),)


def test_rows_that_never_end_are_ended(sqlite_made_url: str) -> None:
    with connect(sqlite_made_url) as database, pytest.raises(QueryError, match="no answer"):
        run_query(database, ENDLESS.replace("count(*)", "i"), timeout_s=0.3)


@pytest.mark.parametrize("value", ["\udc80", 10**30, "x\0y", "'; DROP TABLE trials; --", "x" * 10_000])
def test_a_parameter_is_a_value_and_no_more(busy: Lab, value: object) -> None:
    before = busy.everything()
    with contextlib.suppress(QueryError):  # what no column of the database can hold
        assert _dicts(busy.database, "best", {"study": value}) == []
    assert busy.everything() == before


def test_text_that_is_none(sqlite_made_url: str) -> None:
    with connect(sqlite_made_url) as database, pytest.raises(QueryError, match="UTF-8"):
        run_query(database, "SELECT CAST(x'ff' AS TEXT)")


def test_values_that_only_postgresql_has(postgres_made_url: str) -> None:
    sql = "SELECT interval '90 s', ARRAY[1.5], '{1}'::int[], time '12:30', '10.0.0.1'::inet, 'NaN'::numeric::text"
    with connect(postgres_made_url) as database:
        assert run_query(database, sql).rows == (("0:01:30", "[1.5]", "[1]", "12:30:00", "10.0.0.1", "NaN"),)


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
