"""The child process that trains: specs in on standard input, events out on standard output (see hpo.protocol).

It lives across trials, so torch's import and the CUDA context are paid once; its death costs one attempt at what it
trains, never the worker. It ends when its standard input does: with its worker, however that ended.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Literal

import torch

from hpo.meta.schedule import LetGo, Row, train_all
from hpo.protocol import Checkpointed, Finished, Prune, Ready, Reported, Stop, Stopped, Train, command, to_line
from hpo.records import Record, Report, TrialOutcome, TrialSpec

Interruption = Literal["prune", "stop"]


class Inbox:
    """Reads commands in a thread: specs wait in a queue, interruptions are asked for between meta-iterations."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._specs: queue.SimpleQueue[Train] = queue.SimpleQueue()
        self._interruptions: dict[int, Interruption] = {}
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def next_specs(self) -> list[TrialSpec]:
        """Waits for the next trial, and for those that belong to it."""
        first = self._specs.get()
        return [first.spec, *(self._specs.get().spec for _ in range(first.together - 1))]

    def interruption(self, trial_id: int) -> Interruption | None:
        """What the worker wants of the trial."""
        return self._interruptions.get(trial_id)

    def _read(self) -> None:
        for line in self._stream:
            match command(line):
                case Train() as train:
                    self._interruptions.pop(train.spec.trial_id, None)  # of an earlier attempt
                    self._specs.put(train)
                case Prune(trial_id=trial_id):
                    self._interruptions.setdefault(trial_id, "prune")
                case Stop(trial_id=trial_id):
                    self._interruptions[trial_id] = "stop"
        os._exit(0)  # the worker is gone; the last checkpoint is complete or not there at all


class TrialEvents:
    """What the training loop tells and asks, for one trial."""

    def __init__(self, trial_id: int, inbox: Inbox, outbox: IO[str]) -> None:
        self._trial_id = trial_id
        self._inbox = inbox
        self._outbox = outbox
        self.meta_iterations = 0  # at the last rung

    def report(self, report: Report) -> None:
        """The objective at a rung."""
        self.meta_iterations = report.meta_iteration
        send(self._outbox, Reported(trial_id=self._trial_id, report=report))

    def checkpointed(self, meta_iteration: int, path: Path) -> None:
        """A checkpoint is on disk."""
        send(self._outbox, Checkpointed(trial_id=self._trial_id, meta_iteration=meta_iteration, path=str(path)))

    def interruption(self) -> Interruption | None:
        """Whether to end the trial before its time."""
        return self._inbox.interruption(self._trial_id)

    def ended(self, result: TrialOutcome | LetGo) -> None:
        """The last of the trial's events."""
        if isinstance(result, TrialOutcome):
            send(self._outbox, Finished(trial_id=self._trial_id, outcome=result))
        else:
            send(self._outbox, Stopped(trial_id=self._trial_id, meta_iteration=result.meta_iteration))


def send(outbox: IO[str], message: Record) -> None:
    """One line, at once."""
    outbox.write(to_line(message))
    outbox.flush()


def require_device() -> None:
    """Ends the process where it was given a GPU that this PyTorch cannot use: every trial would fail."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given and not torch.cuda.is_available():
        sys.exit(
            f"PyTorch {torch.__version__} cannot use the GPU {given}: install its CUDA build (pytorch.org), "
            "or set  execution: {devices: cpu}"
        )


def private_stdout() -> IO[str]:
    """Standard output for events alone: whatever a library prints goes to standard error."""
    outbox = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return outbox


def main() -> None:
    """Trains what comes, one batch of specs after another, until standard input ends."""
    # A supervisor, or Slurm before it ends a job, may signal every process: the worker decides.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    require_device()
    outbox = private_stdout()
    inbox = Inbox(sys.stdin)
    send(outbox, Ready())
    while True:
        train_all([Row(spec, TrialEvents(spec.trial_id, inbox, outbox)) for spec in inbox.next_specs()])


if __name__ == "__main__":
    main()
