"""One trial from its lease to its result, between the study and the runner."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from hpo.errors import LeaseLost
from hpo.protocol import Checkpointed, Event, Finished, Prune, Reported, Stop, Stopped, Train
from hpo.records import Outcome, TrialOutcome, TrialSpec
from hpo.study import Lease, Study
from hpo.worker.patience import patiently
from hpo.worker.runner_process import RunnerDied, RunnerProcess, RunnerUnusable
from hpo.worker.stop_request import StopRequest
from hpo.worker.time_limit import TimeLimit

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
LISTEN_S = 0.2  # how long a signal or a lost lease can go unnoticed
STATUS_EVERY_S = 2.0  # between two looks whether the study was paused or stopped
JOIN_S = 1.0  # a suggestion that takes longer goes on in its thread; the sampler has a lock
CHECKPOINT_GRACE_S = 6.0  # a runner that has not let go of its trial, or ended it, by then is ended itself


class Renewed(Protocol):
    """The lease, while somebody renews it."""

    @property
    def lost(self) -> bool:
        """Whether another worker has taken over."""


class Training:
    """Runs once; ``stop`` is the worker's own wish to end; ``together``: how many trials share the runner.

    :meth:`run` has the runner to itself; where several trials share it, their :class:`~hpo.worker.batch.Batch` calls
    :meth:`tend`, :meth:`handle`, :meth:`runner_died` and :meth:`release`.
    """

    def __init__(
        self,
        study: Study,
        lease: Lease,
        spec: TrialSpec,
        runner: RunnerProcess,
        keeper: Renewed,
        stop: StopRequest,
        together: int = 1,
    ) -> None:
        limit_s = study.config.execution.trial_timeout_s
        self._limit = TimeLimit(None if limit_s is None else together * limit_s)
        self._study = study
        self._lease = lease
        self._spec = spec
        self._runner = runner
        self._keeper = keeper
        self._stop = stop
        self._stop_sent_at: float | None = None
        self._overdue_at: float | None = None
        self._status_read_at = time.monotonic()

    @property
    def lease(self) -> Lease:
        """Of the trial."""
        return self._lease

    @property
    def spec(self) -> TrialSpec:
        """What the runner trains."""
        return self._spec

    def run(self) -> None:
        """Until the trial is recorded or let go. Raises LeaseLost where another worker has taken over."""
        self._runner.start()
        self._runner.send(Train(spec=self._spec))
        preparation = self._prepare_next()
        try:
            while not self._step():
                pass
        except RunnerDied as death:
            self.runner_died(str(death))
        except RunnerUnusable:
            self.release()
            raise
        finally:
            preparation.join(JOIN_S)

    def _prepare_next(self) -> threading.Thread:
        """The next suggestion, computed while a GPU trains; on the CPU it would take the cores that train."""
        prepare: Callable[[], None] = self._study.prepare if self._spec.device == "cuda" else lambda: None
        thread = threading.Thread(target=prepare, name="prepare-suggestion", daemon=True)
        thread.start()
        return thread

    def _step(self) -> bool:
        """Whether the trial is over for this worker."""
        if self.tend():
            return True
        event = self._runner.receive(LISTEN_S)
        return event is not None and self.handle(event)

    def tend(self) -> bool:
        """Looks whether the trial is to be let go; whether it is over for this worker. Raises LeaseLost."""
        if self._keeper.lost:
            raise LeaseLost(f"trial {self._lease.number} has been taken over")
        if self._wants_to_stop():
            return self._let_go()
        return self._limit.is_exceeded and self._end_overdue()

    def handle(self, event: Event) -> bool:
        """Records what the runner says of this trial; whether it is over with that. Raises LeaseLost."""
        if getattr(event, "trial_id", None) != self._lease.trial_id:
            return False
        match event:
            case Reported(report=report):
                self._limit.heard(report)
                if self._write(lambda: self._study.report(self._lease, report)):
                    self._runner.send(Prune(trial_id=self._lease.trial_id))
            case Finished(outcome=outcome):
                self._finish(self._timed_out(outcome) if self._was_ended(outcome) else outcome)
                return True
            case Checkpointed(path=path):
                self._write(lambda: self._study.record_checkpoint(self._lease, path))
            case Stopped():
                return self.release()
        return False

    def _wants_to_stop(self) -> bool:
        if self._stop.asked or self._stop_sent_at is not None:
            return True
        if time.monotonic() - self._status_read_at < STATUS_EVERY_S:
            return False
        self._status_read_at = time.monotonic()
        return not self._write(self._study.is_running)

    def _let_go(self) -> bool:
        """Asks the runner for a checkpoint, and ends it where it does not answer in time."""
        if self._stop_sent_at is None:
            self._stop_sent_at = self._ask(Stop(trial_id=self._lease.trial_id))
        return self._ignores(self._stop_sent_at, "let go of") and self.release()

    def _end_overdue(self) -> bool:
        """As the pruner would; a runner that does not answer in time is ended with all that it has started."""
        if self._overdue_at is None:
            self._overdue_at = self._ask(Prune(trial_id=self._lease.trial_id))
        return self._ignores(self._overdue_at, "end") and self._time_out()

    def _ask(self, command: Prune | Stop) -> float:
        self._runner.send(command)
        return time.monotonic()

    def _ignores(self, asked_at: float, what: str) -> bool:
        """Whether the runner has had its time to answer; then it is ended."""
        if time.monotonic() - asked_at < CHECKPOINT_GRACE_S:
            return False
        _log.warning("the runner did not %s trial %d in time; it is ended", what, self._lease.number)
        self._runner.kill()
        return True

    def _time_out(self) -> bool:
        """Of a trial whose runner has said nothing of its end."""
        self._finish(self._timed_out(TrialOutcome(outcome=Outcome.PRUNED)))
        return True

    def _was_ended(self, outcome: TrialOutcome) -> bool:
        """Because it was overdue; one that came to its own end meanwhile keeps its result."""
        return self._overdue_at is not None and outcome.outcome is Outcome.PRUNED

    def _timed_out(self, outcome: TrialOutcome) -> TrialOutcome:
        return outcome.model_copy(
            update={"outcome": Outcome.TIMEOUT, "reason": f"trained for longer than {self._limit}"}
        )

    def release(self) -> bool:
        """Lets the trial go through no fault of its own; it is over for this worker."""
        self._write(lambda: self._study.release(self._lease, interrupted=True))
        return True

    def runner_died(self, death: str) -> bool:
        """Costs an attempt, unless the trial was being let go; after the last one the trial is given up."""
        if self._overdue_at is not None:
            return self._time_out()
        attempts, allowed = self._lease.attempts, self._study.config.execution.max_attempts
        _log.warning("trial %d, attempt %d of %d: %s", self._lease.number, attempts, allowed, death)
        # A supervisor's signal may reach the runner too; one that several trials share is ended by the first to wait.
        interrupted = self._stop.asked or self._stop_sent_at is not None or self._runner.was_killed
        if attempts < allowed or interrupted:
            self._write(lambda: self._study.release(self._lease, interrupted=interrupted))
        else:
            self._finish(TrialOutcome(outcome=Outcome.LOST, reason=f"given up after {attempts} attempts: {death}"))
        return True

    def _finish(self, outcome: TrialOutcome) -> None:
        """Records the outcome; only a trial that was trained to its end keeps its checkpoint."""
        self._write(lambda: self._study.finish(self._lease, outcome))
        if outcome.outcome is not Outcome.OK and self._spec.checkpoint_dir is not None:
            shutil.rmtree(self._spec.checkpoint_dir, ignore_errors=True)

    def _write(self, call: Callable[[], _T]) -> _T:
        return patiently(call, give_up=lambda: self._stop.asked)
