"""Writing what a trial reports and how it ends: hpo's rows and Optuna's in one transaction, under the lease's fence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from optuna.trial import TrialState
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from hpo.constraints import Compliance
from hpo.errors import LeaseLost
from hpo.records import (
    AGAINST_ATTRIBUTE,
    OUTCOME_ATTRIBUTE,
    SECONDS_ATTRIBUTE,
    STANDARD_ERROR_ATTRIBUTE,
    AdaptationCurve,
    Estimate,
    Outcome,
    Report,
    TrialOutcome,
)
from hpo.results.database import Database
from hpo.results.optuna_storage import SharedEngineStorage
from hpo.results.schema import (
    hpo_adaptation,
    hpo_lease,
    hpo_report,
    hpo_trial,
    trial_intermediate_values,
    trial_user_attributes,
    trials,
)
from hpo.results.store.leases import fenced
from hpo.results.store.upsert import insert_for

_STATES = {Outcome.OK: TrialState.COMPLETE, Outcome.PRUNED: TrialState.PRUNED}  # every other one: FAIL
# The system attribute behind FrozenTrial.constraints, as a list: of the two forms that Optuna 5 reads the one that
# optuna-dashboard 0.21 reads too. What is above 0 is violated.
_CONSTRAINTS = "constraints"


def report(database: Database, trial_id: int, token: int, report: Report) -> None:
    """Records the objective at a rung, as Optuna's intermediate value; may be repeated. Raises LeaseLost."""
    measured = {"sem": _number(report.objective.sem), "seconds": report.seconds}
    with fenced(database, trial_id, token) as connection:
        storage = database.optuna_storage.within(connection)
        storage.set_trial_intermediate_value(trial_id, report.meta_iteration, report.objective.mean)
        added = insert_for(connection, hpo_report).values(
            trial_id=trial_id, meta_iteration=report.meta_iteration, **measured
        )
        connection.execute(added.on_conflict_do_update(index_elements=["trial_id", "meta_iteration"], set_=measured))


def finish(
    database: Database,
    trial_id: int,
    token: int,
    outcome: TrialOutcome,
    compliance: Compliance | None = None,
    against: Sequence[float] = (),
) -> None:
    """Records how the trial ended and gives the lease back, all or nothing; may be repeated with the same token.

    ``against``: logarithms of what its objective is traded against, for a sampler.
    ok ends COMPLETE with its value, pruned PRUNED with its last one, everything else FAIL. Raises LeaseLost.
    """
    try:
        with fenced(database, trial_id, token) as connection:
            storage = database.optuna_storage.within(connection)
            if compliance is not None:
                _record_compliance(connection, storage, trial_id, compliance)
            _record(connection, storage, trial_id, token, outcome, against)
    except LeaseLost:
        if not _recorded_under(database, trial_id, token):
            raise


def _record(
    connection: Connection,
    storage: SharedEngineStorage,
    trial_id: int,
    token: int,
    outcome: TrialOutcome,
    against: Sequence[float],
) -> None:
    objective = outcome.objective
    if objective is None and outcome.outcome is Outcome.PRUNED:
        objective = _last_report(connection, trial_id)
    values = _columns(outcome, objective, token)
    connection.execute(update(hpo_trial).where(hpo_trial.c.trial_id == trial_id).values(**values))
    if rows := [row for curve in outcome.curves for row in _adaptation(trial_id, curve)]:
        connection.execute(insert(hpo_adaptation), rows)
    _show(connection, trial_id, _shown(outcome, objective) | ({AGAINST_ATTRIBUTE: list(against)} if against else {}))
    _tell_optuna(storage, trial_id, outcome, objective)
    connection.execute(delete(hpo_lease).where(hpo_lease.c.trial_id == trial_id))


def _record_compliance(
    connection: Connection, storage: SharedEngineStorage, trial_id: int, compliance: Compliance
) -> None:
    of_trial = update(hpo_trial).where(hpo_trial.c.trial_id == trial_id)
    connection.execute(of_trial.values(violated=compliance.violated))
    storage.set_trial_system_attr(trial_id, _CONSTRAINTS, list(compliance.excess))


def _columns(outcome: TrialOutcome, objective: Estimate | None, token: int) -> dict[str, object]:
    return {
        "outcome": outcome.outcome.value,
        "reason": outcome.reason,
        "objective_mean": _number(objective.mean) if objective else None,
        "objective_sem": _number(objective.sem) if objective else None,
        "objective_inner_steps": outcome.inner_steps,
        "meta_iterations": outcome.meta_iterations,
        "seconds": outcome.seconds,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "meta_parameters": outcome.meta_parameters,
        "gradients": outcome.gradients,
        "token": token,
        **({} if outcome.outcome is Outcome.OK else {"checkpoint_uri": None}),  # it is not kept
    }


def _shown(outcome: TrialOutcome, objective: Estimate | None) -> dict[str, object]:
    """For samplers, and for who looks at the trial in Optuna's dashboard."""
    sem = objective.sem if objective is not None and math.isfinite(objective.sem) else None
    each = outcome.seconds / outcome.meta_iterations if outcome.meta_iterations and outcome.seconds else None
    return {
        OUTCOME_ATTRIBUTE: outcome.outcome.value,
        "reason": outcome.reason,
        STANDARD_ERROR_ATTRIBUTE: sem,
        "objective_inner_steps": outcome.inner_steps,
        SECONDS_ATTRIBUTE: each,  # what a cost-aware sampler learns from
    }


def _show(connection: Connection, trial_id: int, attributes: Mapping[str, object]) -> None:
    """As Optuna's user attributes, in one statement; None is not shown."""
    rows = [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attributes.items()
        if value is not None
    ]
    added = insert_for(connection, trial_user_attributes).values(rows)
    again = {"value_json": added.excluded.value_json}
    connection.execute(added.on_conflict_do_update(index_elements=["trial_id", "key"], set_=again))


def _tell_optuna(
    storage: SharedEngineStorage, trial_id: int, outcome: TrialOutcome, objective: Estimate | None
) -> None:
    state = _STATES.get(outcome.outcome, TrialState.FAIL)
    has_value = state is not TrialState.FAIL and objective is not None and not math.isnan(objective.mean)
    storage.set_trial_state_values(trial_id, state, [objective.mean] if has_value and objective else None)


def _adaptation(trial_id: int, curve: AdaptationCurve) -> list[dict[str, object]]:
    return [
        {
            "trial_id": trial_id,
            "split": curve.split,
            "inner_step": point.inner_step,
            "loss": _number(point.loss.mean),
            "loss_sem": _number(point.loss.sem),
            "accuracy": _number(point.accuracy.mean) if point.accuracy else None,
            "accuracy_sem": _number(point.accuracy.sem) if point.accuracy else None,
            "tasks": curve.tasks,
        }
        for point in curve.points
    ]


def _last_report(connection: Connection, trial_id: int) -> Estimate | None:
    values = trial_intermediate_values
    query = (
        select(values.c.intermediate_value, hpo_report.c.sem)
        .outerjoin(
            hpo_report, (hpo_report.c.trial_id == values.c.trial_id) & (hpo_report.c.meta_iteration == values.c.step)
        )
        .where(values.c.trial_id == trial_id, values.c.intermediate_value.is_not(None))
        .order_by(values.c.step.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else Estimate(mean=row[0], sem=math.nan if row[1] is None else row[1])


def _number(measured: float) -> float | None:
    return None if math.isnan(measured) else measured


def _recorded_under(database: Database, trial_id: int, token: int) -> bool:
    with database.reading() as connection:
        return connection.scalar(select(hpo_trial.c.token).where(hpo_trial.c.trial_id == trial_id)) == token


def record_checkpoint(database: Database, trial_id: int, token: int, uri: str) -> None:
    """Records where the trial's newest checkpoint lies; raises LeaseLost."""
    with fenced(database, trial_id, token) as connection:
        connection.execute(update(hpo_trial).where(hpo_trial.c.trial_id == trial_id).values(checkpoint_uri=uri))


def set_posterior(database: Database, study_id: int, posterior: Mapping[int, Estimate]) -> None:
    """Records the surrogate's mean and its deviation for trials, given by number, in the objective's units and sign."""
    numbers = select(trials.c.number, trials.c.trial_id).where(trials.c.study_id == study_id)
    of_trial = update(hpo_trial).where(hpo_trial.c.trial_id == bindparam("of_trial"))
    change = of_trial.values(posterior_mean=bindparam("mean"), posterior_sd=bindparam("sd"))
    with database.transaction() as connection:
        trial_ids = dict(connection.execute(numbers).all())
        known = [(trial_ids[number], found) for number, found in posterior.items() if number in trial_ids]
        rows = [{"of_trial": trial_id, "mean": found.mean, "sd": found.sem} for trial_id, found in known]
        if rows:
            connection.execute(change, rows)
