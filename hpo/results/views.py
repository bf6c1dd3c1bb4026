"""The SQL views that other programs read: the one place with their SQL, for both dialects.

They are dropped and made anew after every upgrade. Their names, columns and meanings are stable. Optuna stores a
parameter as a number (a categorical one as its index) beside its distribution: here it is decoded, as JSON.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

from hpo.results.clock import NOW


class _Dialect(NamedTuple):
    """What the two dialects write differently; ``{}`` is the argument."""

    parameters: str  # of the trial with this trial_id, as a JSON object
    naive_utc: str  # a naive UTC time as ISO 8601 text
    epoch_utc: str  # seconds since 1970 as ISO 8601 text
    infinity: str
    now: str


# An unparsable choice (NaN, which JSON has not) reads as null rather than breaking the whole view.
_SQLITE = _Dialect(
    parameters="""(
        SELECT json_group_object(p.param_name, json(CASE
            WHEN p.distribution_json LIKE '{{"name": "Categorical%' THEN
                CASE WHEN NOT json_valid(p.distribution_json) THEN 'null'
                ELSE p.distribution_json -> ('$.attributes.choices[' || CAST(p.param_value AS INTEGER) || ']') END
            WHEN p.distribution_json LIKE '{{"name": "Int%' THEN CAST(CAST(p.param_value AS INTEGER) AS TEXT)
            WHEN CAST(printf('%!.15g', p.param_value) AS REAL) = p.param_value THEN printf('%!.15g', p.param_value)
            WHEN CAST(printf('%!.16g', p.param_value) AS REAL) = p.param_value THEN printf('%!.16g', p.param_value)
            ELSE printf('%!.17g', p.param_value) END))
        FROM (SELECT * FROM trial_params WHERE trial_id = {} ORDER BY param_id) AS p)""",
    naive_utc="strftime('%Y-%m-%dT%H:%M:%fZ', {})",
    epoch_utc="strftime('%Y-%m-%dT%H:%M:%fZ', {}, 'unixepoch')",
    infinity="9e999",
    now=NOW["sqlite"],
)
_POSTGRESQL = _Dialect(
    parameters="""(
        SELECT coalesce(jsonb_object_agg(p.param_name, CASE
            WHEN starts_with(p.distribution_json, '{{"name": "Categorical') THEN
                CASE WHEN p.distribution_json ~ '[[ ](NaN|-?Infinity)[],]' THEN CAST('null' AS jsonb)
                ELSE CAST(p.distribution_json AS jsonb)
                    #> ARRAY['attributes', 'choices', CAST(p.param_value AS text)] END
            WHEN starts_with(p.distribution_json, '{{"name": "Int') THEN to_jsonb(CAST(p.param_value AS bigint))
            ELSE to_jsonb(CAST(CAST(p.param_value AS text) AS numeric) + 0.0) END), CAST('{{}}' AS jsonb))
        FROM trial_params AS p WHERE p.trial_id = {})""",
    naive_utc="""to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""",
    epoch_utc="""to_char(to_timestamp({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""",
    infinity="CAST('Infinity' AS double precision)",
    now=NOW["postgresql"],
)
_DIALECTS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}


def statements(dialect: str) -> dict[str, str]:
    """View name -> the SELECT that it stands for."""
    d = _DIALECTS[dialect]
    return {
        "hpo_studies": _studies(d),
        "hpo_trials": _trials(d),
        "hpo_best_configs": _best_configs(d),
        "hpo_curves": _curves(d),
        "hpo_adaptation_curves": _ADAPTATION_CURVES,
        "hpo_workers": _workers(d),
    }


def create(connection: Connection) -> None:
    """Makes every view anew."""
    drop(connection)
    for name, select in statements(connection.dialect.name).items():
        connection.execute(text(f"CREATE VIEW {name} AS\n{select}"))


def drop(connection: Connection) -> None:
    """Removes the views: SQLite and PostgreSQL refuse to alter a table that a view reads."""
    for name in reversed(statements(connection.dialect.name)):
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))


def _value(d: _Dialect, column: str) -> str:
    return f"""CASE CAST({column}_type AS TEXT)
        WHEN 'INF_POS' THEN {d.infinity} WHEN 'INF_NEG' THEN -{d.infinity} ELSE {column} END"""


def _studies(d: _Dialect) -> str:
    def count(which: str) -> str:
        return f"""(SELECT count(*) FROM trials AS t LEFT JOIN hpo_trial AS c ON c.trial_id = t.trial_id
        WHERE t.study_id = s.study_id AND c.confirms {which})"""

    return f"""SELECT s.study_id, s.study_name AS study, lower(CAST(o.direction AS TEXT)) AS direction, h.metric,
    h.status, h.priority, {count("IS NULL")} AS trials,
    {count("IS NULL AND t.state = 'RUNNING'")} AS running,
    {count("IS NULL AND t.state = 'COMPLETE'")} AS complete,
    {count("IS NULL AND t.state = 'PRUNED'")} AS pruned,
    {count("IS NULL AND t.state = 'FAIL'")} AS failed,
    {d.epoch_utc.format("h.created")} AS created_at, h.code_version,
    {count("IS NOT NULL")} AS confirmations, h.stop_reason
FROM studies AS s
LEFT JOIN study_directions AS o ON o.study_id = s.study_id AND o.objective = 0
LEFT JOIN hpo_study AS h ON h.study_id = s.study_id"""


def _trials(d: _Dialect) -> str:
    return f"""SELECT s.study_name AS study, t.number, CAST(t.state AS TEXT) AS state, h.outcome, h.reason,
    {_value(d, "v.value")} AS value,
    h.objective_sem AS sem, h.posterior_mean,
    {d.parameters.format("t.trial_id")} AS parameters,
    {d.naive_utc.format("t.datetime_start")} AS started_at,
    {d.naive_utc.format("t.datetime_complete")} AS completed_at,
    h.seconds, h.meta_iterations, h.peak_memory_bytes, h.gradients, h.host, h.device, h.attempts, h.seed,
    h.checkpoint_uri, t.study_id, t.trial_id, h.posterior_sd, h.confirms,
    h.confirmed_mean, h.confirmed_sem, h.confirmed_seeds, h.confirmed_failed, h.objective_inner_steps,
    h.meta_parameters, h.violated
FROM trials AS t
JOIN studies AS s ON s.study_id = t.study_id
LEFT JOIN trial_values AS v ON v.trial_id = t.trial_id AND v.objective = 0
LEFT JOIN hpo_trial AS h ON h.trial_id = t.trial_id"""


def _best_configs(d: _Dialect) -> str:
    # Ranked before the parameters are decoded: only the rows that are read pay for that. The confirmed come first, of
    # them those that failed with no new seed; a trial that repeats another one is no config of its own, and one that
    # violates a constraint is behind all that violate none.
    return f"""SELECT s.study_name AS study, r.rank, r.number, r.value, r.sem, r.posterior_mean,
    {d.parameters.format("r.trial_id")} AS parameters,
    r.seconds, r.study_id, r.trial_id, r.posterior_sd, r.confirmed_mean, r.confirmed_sem, r.confirmed_seeds,
    r.confirmed_failed, r.objective_inner_steps, r.violated
FROM (
    SELECT c.*, row_number() OVER (PARTITION BY c.study_id ORDER BY
        c.violated IS NOT NULL, c.confirmed_seeds IS NULL, coalesce(c.confirmed_failed, 0),
        coalesce(c.confirmed_mean, c.posterior_mean, c.value) IS NULL,
        CASE WHEN c.direction = 'MAXIMIZE' THEN -coalesce(c.confirmed_mean, c.posterior_mean, c.value)
             ELSE coalesce(c.confirmed_mean, c.posterior_mean, c.value) END,
        c.number) AS rank
    FROM (
        SELECT t.study_id, t.trial_id, t.number, CAST(o.direction AS TEXT) AS direction,
            {_value(d, "v.value")} AS value,
            h.objective_sem AS sem, h.posterior_mean, h.posterior_sd, h.seconds,
            h.confirmed_mean, h.confirmed_sem, h.confirmed_seeds, h.confirmed_failed, h.objective_inner_steps,
            h.violated
        FROM trials AS t
        JOIN study_directions AS o ON o.study_id = t.study_id AND o.objective = 0
        LEFT JOIN trial_values AS v ON v.trial_id = t.trial_id AND v.objective = 0
        LEFT JOIN hpo_trial AS h ON h.trial_id = t.trial_id
        WHERE t.state = 'COMPLETE' AND h.confirms IS NULL
    ) AS c
) AS r
JOIN studies AS s ON s.study_id = r.study_id"""


def _curves(d: _Dialect) -> str:
    return f"""SELECT s.study_name AS study, t.number, i.step AS meta_iteration,
    {_value(d, "i.intermediate_value")} AS value,
    r.sem, r.seconds, t.study_id, t.trial_id
FROM trial_intermediate_values AS i
JOIN trials AS t ON t.trial_id = i.trial_id
JOIN studies AS s ON s.study_id = t.study_id
LEFT JOIN hpo_report AS r ON r.trial_id = i.trial_id AND r.meta_iteration = i.step"""


_ADAPTATION_CURVES = """SELECT s.study_name AS study, t.number, a.split, a.inner_step, a.loss, a.loss_sem,
    a.accuracy, a.accuracy_sem, a.tasks, t.study_id, t.trial_id
FROM hpo_adaptation AS a
JOIN trials AS t ON t.trial_id = a.trial_id
JOIN studies AS s ON s.study_id = t.study_id"""


def _workers(d: _Dialect) -> str:
    return f"""SELECT w.worker_id, w.host, w.pid, w.device, s.study_name AS study, t.number,
    {d.epoch_utc.format("w.last_seen")} AS last_seen_at, {d.now} - w.last_seen AS silent_seconds
FROM hpo_worker AS w
LEFT JOIN trials AS t ON t.trial_id = w.trial_id
LEFT JOIN studies AS s ON s.study_id = t.study_id"""
