"""The worker: take the most urgent running study, lease a trial or several, have them trained, record, repeat."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hpo.config import InvalidConfig
from hpo.config.data_files import require_files
from hpo.errors import LeaseLost, StorageUnreachable, StudyNotFound
from hpo.results import queries, store
from hpo.results.engine import Database
from hpo.study import Lease, Study
from hpo.worker.batch import Batch
from hpo.worker.lease_keeper import Hold, LeaseKeeper, renew_each
from hpo.worker.memory_guard import refusal
from hpo.worker.patience import patiently
from hpo.worker.runner_process import RunnerProcess
from hpo.worker.slot import Slot
from hpo.worker.stop_request import StoppedAtOnce, StopRequest
from hpo.worker.training import Renewed, Training

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
IDLE_S = 1.0  # between two looks for work
SILENT_S = 60.0  # a worker that showed itself longer ago may be gone


class Worker:
    """One slot's worker. ``run`` returns when no study has work left, unless ``forever``, and after a stop request."""

    def __init__(
        self, database: Database, slot: Slot, home: Path, study_name: str | None = None, *, forever: bool = False
    ) -> None:
        self._database = database
        self._slot = slot
        self._home = home
        self._study_name = study_name
        self._forever = forever
        self._runner = RunnerProcess(slot)
        self._stop = StopRequest()
        self._studies: dict[int, tuple[object, Study | None]] = {}  # study_id -> version, study
        self._in_doubt = False

    def run(self) -> None:
        """Works until it is to end; leaves no trial of its own RUNNING."""
        with self._stop:
            try:
                self._serve()
            except StoppedAtOnce:
                self._runner.kill()
                raise
            finally:
                self._runner.close()
                with contextlib.suppress(StorageUnreachable):
                    store.remove_worker(self._database, self._slot.worker_id)

    def _serve(self) -> None:
        self._runner.start()  # its imports take a second or two: they overlap with the first suggestion
        while not self._stop.asked:
            self._patiently(lambda: self._heartbeat(None))
            studies = self._patiently(self._runnable)
            if not studies and not self._forever:
                break
            if not any(self._train_some(study) for study in studies):
                self._stop.wait(IDLE_S)

    def _runnable(self) -> list[Study]:
        """Studies that are not done, the most urgent first."""
        rows = queries.running_studies(self._database)
        found = [self._study(row) for row in rows if self._study_name in (None, row.name)]
        return [study for study in found if study is not None]

    def _study(self, row: queries.StudyRow) -> Study | None:
        """None where this machine cannot serve it, which is said once; raised where it was asked for by name."""
        known = self._studies.get(row.study_id)
        if known is None or known[0] != row.version:
            known = self._studies[row.study_id] = (row.version, self._open(row))
        return known[1]

    def _open(self, row: queries.StudyRow) -> Study | None:
        try:
            study = Study.of(self._database, row, worker_seed=int(self._slot.worker_id[:8], 16) >> 1)
            require_files(study.config.tasks)  # here, so that no trial fails for what only this machine lacks
            return study
        except InvalidConfig as error:
            if self._study_name is not None:
                raise
            _log.warning("the study %s cannot be served here: %s", row.name, error)
            return None

    def _train_some(self, study: Study) -> bool:
        """Whether the study had trials for this worker."""
        try:
            leases = self._patiently(lambda: self._lease(study))
        except StudyNotFound:
            return False  # deleted since
        try:
            match [lease for lease in leases if self._fits(study, lease)]:
                case [lease]:
                    self._train(study, lease)
                case [_, *_] as several:
                    self._train_together(study, several)
        except StudyNotFound:
            _log.warning("the study %s has been deleted", study.name)
            self._runner.kill()
        return bool(leases)

    def _fits(self, study: Study, lease: Lease) -> bool:
        """Whether the trial is to be begun; one that the device has no room for ends here."""
        refused = self._patiently(lambda: refusal(study, lease, self._slot))
        if refused is None:
            _log.info("trial %d of %s, attempt %d", lease.number, study.name, lease.attempts)
            return True
        with contextlib.suppress(LeaseLost):
            if self._patiently(self._has_neighbours):
                self._patiently(lambda: study.release(lease, interrupted=True))
                self._stop.wait(IDLE_S)
                return False
            _log.warning("trial %d of %s: %s", lease.number, study.name, refused.reason)
            self._patiently(lambda: study.finish(lease, refused))
        return False

    def _has_neighbours(self) -> bool:
        """Whether other workers train on this device: it has more room when they are done."""
        slot, others = self._slot, queries.workers(self._database)
        return any(
            (other.host, other.device) == (slot.host, slot.device) and other.number is not None
            for other in others
            if other.worker_id != slot.worker_id and other.silent_seconds < SILENT_S
        )

    def _train(self, study: Study, lease: Lease) -> None:
        try:
            with LeaseKeeper(lambda: self._renew(study, lease), study.config.execution.lease_s / 3) as keeper:
                self._patiently(lambda: self._heartbeat(lease.trial_id))
                self._training(study, lease, keeper).run()
        except LeaseLost:
            _log.warning("trial %d of %s was taken over; this worker's run is discarded", lease.number, study.name)
            self._runner.kill()

    def _train_together(self, study: Study, leases: Sequence[Lease]) -> None:
        holds = [Hold(lease) for lease in leases]
        with LeaseKeeper(lambda: self._renew_all(study, holds), study.config.execution.lease_s / 3):
            self._patiently(
                lambda: self._renew_all(study, holds)
            )  # the first were leased while the last were asked for
            Batch([self._training(study, hold.lease, hold, len(holds)) for hold in holds], self._runner).run()

    def _training(self, study: Study, lease: Lease, renewed: Renewed, together: int = 1) -> Training:
        slot = self._slot
        spec = study.spec(lease, slot.torch_device, slot.threads, study.folder(self._home))
        return Training(study, lease, spec, self._runner, renewed, self._stop, together)

    def _lease(self, study: Study) -> list[Lease]:
        """Trials that an earlier try has leased, and lost sight of in an outage, are let go first."""
        slot = self._slot
        if self._in_doubt:
            store.release_worker(self._database, slot.worker_id)
        self._in_doubt = True
        most = study.config.trials_at_once(slot.device)
        leases = study.lease_trials(most, slot.worker_id, slot.host, slot.device, give_up=lambda: self._stop.asked)
        self._in_doubt = False
        return leases

    def _renew(self, study: Study, lease: Lease) -> None:
        store.renew(self._database, lease.trial_id, lease.token, study.config.execution.lease_s)
        self._heartbeat(lease.trial_id)

    def _renew_all(self, study: Study, holds: Sequence[Hold]) -> None:
        lease_s = study.config.execution.lease_s
        renew_each(holds, lambda lease: store.renew(self._database, lease.trial_id, lease.token, lease_s))
        self._heartbeat(next((hold.lease.trial_id for hold in holds if not hold.lost), None))

    def _heartbeat(self, trial_id: int | None) -> None:
        slot = self._slot
        store.heartbeat(
            self._database, slot.worker_id, host=slot.host, pid=slot.pid, device=slot.device, trial_id=trial_id
        )

    def _patiently(self, call: Callable[[], _T]) -> _T:
        return patiently(call, give_up=lambda: self._stop.asked)
