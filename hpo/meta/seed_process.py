"""The child process that trains one config with one seed and tests it.

A Job as JSON on standard input; on standard output a line for each report, then one result or one failure.
Who only exchanges messages with it (hpo.cli.seeds) imports no torch: that comes with the training.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import TypeAdapter

from hpo.config import TrialConfig
from hpo.errors import Diverged, HpoError, OutOfMemory
from hpo.records import Outcome, Record, Report

if TYPE_CHECKING:
    from hpo.meta.evaluate import TaskCurves


class Job(Record):
    """What the child is asked to do; the number of threads is in its environment."""

    config: dict[str, Any]  # TrialConfig.to_dict()
    device: str
    profile: bool = False  # whether to say where the time went


class TaskScores(Record):
    """Query loss and accuracy of every meta-test task after ``steps`` steps on its support set, in their order."""

    loss: tuple[float, ...]
    accuracy: tuple[float, ...] | None
    steps: int


class SeedResult(Record):
    """How good the trained learner is, and what it is compared with on the same tasks.

    adapted       after as many inner steps as objective.inner_steps says; where that is ``best``, those of the last
                  report: chosen on the meta-validation tasks, never on the tasks that it is tested on
    unadapted     the meta-initialization as it is
    from_scratch  the same network trained on each support set alone, see hpo.meta.from_scratch
    profile       seconds of the meta-training by component, the rest as ``other``; None if it was not asked for
    """

    adapted: TaskScores
    unadapted: TaskScores
    from_scratch: TaskScores
    seconds: float
    profile: dict[str, float] | None = None


class SeedFailure(Record):
    """Why there is no result."""

    outcome: Outcome
    reason: str


Message = Report | SeedResult | SeedFailure
MESSAGES: TypeAdapter[Message] = TypeAdapter(Message)


class Events:
    """Tells of each rung; nothing interrupts the training."""

    def __init__(self, outbox: IO[str]) -> None:
        self._outbox = outbox

    def report(self, report: Report) -> None:
        """The objective on the meta-validation tasks."""
        send(self._outbox, report)

    def checkpointed(self, meta_iteration: int, path: Path) -> None:
        """Not called: there is no directory for checkpoints."""

    def interruption(self) -> None:
        """Never."""


def send(outbox: IO[str], message: Record) -> None:
    """One line, at once."""
    outbox.write(message.model_dump_json() + "\n")
    outbox.flush()


def train_and_test(job: Job, events: Events) -> SeedResult:
    """Raises Diverged, OutOfMemory, and InputError where the config's parts do not fit each other."""
    from hpo.meta.evaluate import task_curves
    from hpo.meta.from_scratch import best_scratch_curve
    from hpo.meta.loop import Trained, train
    from hpo.meta.profile import profiled
    from hpo.meta.resources import find_device, naming_out_of_memory
    from hpo.meta.tasks import Split
    from hpo.meta.trial import Trial

    began = time.perf_counter()
    config = TrialConfig.from_dict(job.config)
    with profiled() if job.profile else nullcontext() as profile:
        ended = train(config, job.device, None, events)
        by_component = None if profile is None else profile.complete()
    assert isinstance(ended, Trained)  # nothing interrupts it
    with naming_out_of_memory():
        trial = Trial.of(config, find_device(job.device))
        tasks = trial.fixed_tasks(Split.TEST, config.training.test_tasks)
        steps = ended.outcome.inner_steps or trial.learner.inner_steps
        curves = task_curves(trial.learner, ended.meta, tasks, [0, steps])
        validation = trial.fixed_tasks(Split.VALIDATION, config.training.eval_tasks)
        scratch = best_scratch_curve(trial.learner.network, trial.fresh_network(), validation, tasks)
    return SeedResult(
        adapted=_tested(curves, 1),
        unadapted=_tested(curves, 0),
        from_scratch=_tested(scratch, 0),
        seconds=time.perf_counter() - began,
        profile=by_component,
    )


def _tested(curves: TaskCurves, row: int) -> TaskScores:
    accuracy = None if curves.accuracy is None else tuple(curves.accuracy[row])
    return TaskScores(loss=tuple(curves.loss[row]), accuracy=accuracy, steps=curves.steps[row])


def run(job: Job, outbox: IO[str]) -> None:
    """A failure that tells about the config is a message; a bug raises."""
    try:
        send(outbox, train_and_test(job, Events(outbox)))
    except Diverged as error:
        send(outbox, SeedFailure(outcome=Outcome.DIVERGED, reason=str(error)))
    except OutOfMemory as error:
        send(outbox, SeedFailure(outcome=Outcome.OUT_OF_MEMORY, reason=str(error)))
    except HpoError as error:
        send(outbox, SeedFailure(outcome=Outcome.ERROR, reason=str(error)))


def main() -> None:
    """Trains, tests, ends."""
    from hpo.meta.runner import private_stdout

    outbox = private_stdout()
    run(Job.model_validate_json(sys.stdin.readline()), outbox)


if __name__ == "__main__":
    main()
