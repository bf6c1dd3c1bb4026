"""SQLite only: hpo's rows go with Optuna's.

PostgreSQL's foreign keys cascade by themselves. SQLite's act only on connections that ask for it, which Optuna's
dashboard and command line do not; and a deleted row's id is given to the next one, so that a new trial would inherit
old results.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_OF_TRIAL = ("hpo_trial", "hpo_report", "hpo_adaptation", "hpo_lease")
_STATEMENTS = {
    "hpo_after_study_delete": "AFTER DELETE ON studies BEGIN DELETE FROM hpo_study WHERE study_id = OLD.study_id; END",
    "hpo_after_trial_delete": (
        "AFTER DELETE ON trials BEGIN "
        + " ".join(f"DELETE FROM {table} WHERE trial_id = OLD.trial_id;" for table in _OF_TRIAL)
        + " UPDATE hpo_worker SET trial_id = NULL WHERE trial_id = OLD.trial_id; END"
    ),
}


def create(connection: Connection) -> None:
    """Makes every trigger anew; an altered table of Optuna's has lost its own."""
    if connection.dialect.name != "sqlite":
        return
    for name, body in _STATEMENTS.items():
        connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
        connection.execute(text(f"CREATE TRIGGER {name} {body}"))
