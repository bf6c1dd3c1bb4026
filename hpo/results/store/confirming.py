"""Writing which configs are trained again with new seeds, and what came out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optuna.trial import TrialState, create_trial
from sqlalchemy import Connection, insert, select, update

from hpo.ranking import Confirmed
from hpo.results.clock import epoch_now
from hpo.results.database import Database
from hpo.results.optuna_storage import SharedEngineStorage
from hpo.results.rows import Repeat
from hpo.results.schema import hpo_lease, hpo_study, hpo_trial, trials

CONFIRMS_ATTRIBUTE = "confirms"  # user attribute of a trial, for who looks at it in Optuna's dashboard


def plan_confirmation(database: Database, study_id: int, candidates: Sequence[int], repeats: Sequence[Repeat]) -> None:
    """Records the choice and adds the trainings, all or nothing: as trials that were let go before they began.

    So whoever asks next takes them up like every other trial that nobody works on. Later calls change nothing.
    """
    with database.transaction() as connection:
        unplanned = update(hpo_study).where(hpo_study.c.study_id == study_id, hpo_study.c.candidates.is_(None))
        if connection.execute(unplanned.values(candidates=list(candidates))).rowcount == 0:
            return
        storage = database.optuna_storage.within(connection)
        for repeat in repeats:
            _add(connection, storage, study_id, repeat)


def _add(connection: Connection, storage: SharedEngineStorage, study_id: int, repeat: Repeat) -> None:
    number = (trials.c.study_id == study_id, trials.c.number == repeat.confirms)
    original = storage.get_trial(connection.execute(select(trials.c.trial_id).where(*number)).scalar_one())
    trial_id = storage.create_new_trial(
        study_id,
        create_trial(
            state=TrialState.WAITING,
            params=original.params,
            distributions=original.distributions,
            user_attrs={CONFIRMS_ATTRIBUTE: repeat.confirms, "seed": repeat.seed},
        ),
    )
    row = {"study_id": study_id, "trial_id": trial_id, "attempts": 0, **repeat._asdict()}
    connection.execute(insert(hpo_trial).values(row))
    connection.execute(insert(hpo_lease).values(trial_id=trial_id, worker_id="", token=0, expires=epoch_now()))


def record_confirmed(database: Database, study_id: int, found: Iterable[Confirmed]) -> None:
    """Records the result with the trials that were confirmed; may be repeated."""
    with database.transaction() as connection:
        for one in found:
            number = select(trials.c.trial_id).where(trials.c.study_id == study_id, trials.c.number == one.number)
            of_trial = update(hpo_trial).where(hpo_trial.c.trial_id == number.scalar_subquery())
            connection.execute(of_trial.values(_columns(one)))


def _columns(one: Confirmed) -> dict[str, float | None]:
    estimate = one.estimate
    return {
        "confirmed_mean": None if estimate is None else estimate.mean,
        "confirmed_sem": None if estimate is None or one.seeds < 2 else estimate.sem,
        "confirmed_seeds": one.seeds,
        "confirmed_failed": one.failed,
    }
