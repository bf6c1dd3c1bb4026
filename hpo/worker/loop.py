"""The worker: take the running study with the highest priority, lease a trial, have it trained, record, repeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hpo.errors import LeaseLost
from hpo.results import queries, store
from hpo.results.engine import Database
from hpo.study import Lease, Study
from hpo.worker.lease_keeper import LeaseKeeper
from hpo.worker.patience import patiently
from hpo.worker.runner_process import RunnerProcess
from hpo.worker.slot import Slot
from hpo.worker.stop_request import StoppedAtOnce, StopRequest
from hpo.worker.training import Training

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
IDLE_S = 1.0  # between two looks for work


class Worker:
    """One slot's worker. ``run`` returns when no study has work left, or after SIGINT or SIGTERM."""

    def __init__(self, database: Database, slot: Slot, home: Path, study_name: str | None = None) -> None:
        self._database = database
        self._slot = slot
        self._home = home
        self._study_name = study_name
        self._runner = RunnerProcess(slot)
        self._stop = StopRequest()
        self._studies: dict[int, tuple[str, Study]] = {}  # study_id -> config hash, study

    def run(self) -> None:
        """Works until there is nothing to do; leaves no trial of its own RUNNING."""
        with self._stop:
            try:
                self._serve()
            except StoppedAtOnce:
                self._runner.kill()
                raise
            finally:
                self._runner.close()

    def _serve(self) -> None:
        self._runner.start()  # its imports take a second or two: they overlap with the first suggestion
        self._heartbeat(None)
        while not self._stop.asked:
            studies = self._patiently(self._runnable)
            if not studies:
                break
            if not any(self._train_one(study) for study in studies):
                self._stop.wait(IDLE_S)
                self._heartbeat(None)
        self._patiently(lambda: store.remove_worker(self._database, self._slot.worker_id))

    def _runnable(self) -> list[Study]:
        """Studies that are not done, the most urgent first."""
        rows = queries.running_studies(self._database)
        return [self._study(row) for row in rows if self._study_name in (None, row.name)]

    def _study(self, row: queries.StudyRow) -> Study:
        known = self._studies.get(row.study_id)
        if known is None or known[0] != row.config_hash:
            seed = int(self._slot.worker_id[:8], 16) >> 1
            known = self._studies[row.study_id] = (row.config_hash, Study.of(self._database, row, seed))
        return known[1]

    def _train_one(self, study: Study) -> bool:
        """Whether the study had a trial for this worker."""
        slot = self._slot
        lease = self._patiently(lambda: study.lease_trial(slot.worker_id, slot.host, slot.device))
        if lease is None:
            return False
        _log.info("trial %d of %s, attempt %d", lease.number, study.name, lease.attempts)
        try:
            with LeaseKeeper(lambda: self._renew(study, lease), study.config.execution.lease_s / 3) as keeper:
                spec = study.spec(lease, slot.torch_device, slot.threads, study.folder(self._home))
                Training(study, lease, spec, self._runner, keeper, self._stop).run()
        except LeaseLost:
            _log.warning("trial %d of %s was taken over; this worker's run is discarded", lease.number, study.name)
            self._runner.kill()
        return True

    def _renew(self, study: Study, lease: Lease) -> None:
        store.renew(self._database, lease.trial_id, lease.token, study.config.execution.lease_s)
        self._heartbeat(lease.trial_id)

    def _heartbeat(self, trial_id: int | None) -> None:
        slot = self._slot
        store.heartbeat(
            self._database, slot.worker_id, host=slot.host, pid=slot.pid, device=slot.device, trial_id=trial_id
        )

    def _patiently(self, call: Callable[[], _T]) -> _T:
        return patiently(call, give_up=lambda: self._stop.asked)
