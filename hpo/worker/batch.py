"""Several trials from their leases to their results, in one runner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from hpo.errors import LeaseLost
from hpo.protocol import Finished, Prune, Stopped, Train
from hpo.worker.runner_process import RunnerDied, RunnerProcess, RunnerUnusable
from hpo.worker.training import LISTEN_S, Training

_log = logging.getLogger(__name__)


class Batch:
    """Runs once, until each of ``trainings`` is recorded or let go.

    What the runner says is recorded in the order in which it is said: the pruner decides as it would on trials that
    train in lock-step in runners of their own.
    """

    def __init__(self, trainings: Sequence[Training], runner: RunnerProcess) -> None:
        self._runner = runner
        self._open = {training.lease.trial_id: training for training in trainings}
        self._lost: set[int] = set()  # trials of other workers now, that the runner has not left yet

    def run(self) -> None:
        """Another worker's taking over of one of the trials does not disturb the others."""
        self._runner.start()
        for training in self._open.values():
            self._runner.send(Train(spec=training.spec, together=len(self._open)))
        try:
            while self._open:
                self._step()
        except RunnerDied as death:
            reason = str(death)
            self._each(lambda training: training.runner_died(reason))
        except RunnerUnusable:
            self._each(Training.release)
            raise
        finally:
            if self._lost:
                self._runner.kill()

    def _step(self) -> None:
        self._each(Training.tend)
        event = self._runner.receive(LISTEN_S)
        trial_id: int | None = getattr(event, "trial_id", None)
        if event is None or trial_id is None:
            return
        if trial_id in self._open:
            self._close_if(self._open[trial_id], lambda training: training.handle(event))
        elif isinstance(event, Finished | Stopped):
            self._lost.discard(trial_id)

    def _each(self, is_over: Callable[[Training], bool]) -> None:
        for training in list(self._open.values()):
            self._close_if(training, is_over)

    def _close_if(self, training: Training, is_over: Callable[[Training], bool]) -> None:
        trial_id = training.lease.trial_id
        try:
            if is_over(training):
                del self._open[trial_id]
        except LeaseLost:
            _log.warning("trial %d was taken over; this worker's run is discarded", training.lease.number)
            del self._open[trial_id]
            self._lost.add(trial_id)
            self._runner.send(Prune(trial_id=trial_id))  # not Stop: the checkpoint is its successor's to write
