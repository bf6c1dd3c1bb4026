"""The child process that trains: specs in on standard input, events out on standard output (see hpo.protocol).

It lives across trials, so torch's import and the CUDA context are paid once; its death costs one attempt at one
trial, never the worker. It ends when its standard input does: with its worker, however that ended.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import IO, Literal

import torch

from hpo.errors import Diverged, OutOfMemory
from hpo.meta.loop import meta_train
from hpo.protocol import Checkpointed, Finished, Prune, Ready, Reported, Stop, Stopped, Train, command, to_line
from hpo.records import Outcome, Record, Report, TrialOutcome, TrialSpec

Interruption = Literal["prune", "stop"]


class Inbox:
    """Reads commands in a thread: specs wait in a queue, interruptions are asked for between meta-iterations."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._specs: queue.SimpleQueue[TrialSpec] = queue.SimpleQueue()
        self._interruptions: dict[int, Interruption] = {}
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def next_spec(self) -> TrialSpec:
        """Waits for the next trial."""
        return self._specs.get()

    def interruption(self, trial_id: int) -> Interruption | None:
        """What the worker wants of the running trial."""
        return self._interruptions.get(trial_id)

    def _read(self) -> None:
        for line in self._stream:
            match command(line):
                case Train(spec=spec):
                    self._interruptions.pop(spec.trial_id, None)  # of an earlier attempt
                    self._specs.put(spec)
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


def send(outbox: IO[str], message: Record) -> None:
    """One line, at once."""
    outbox.write(to_line(message))
    outbox.flush()


def train(spec: TrialSpec, events: TrialEvents) -> Record:
    """The trial's last message: a result, or that it was let go. A failure of the trial is a result with a reason."""
    began = time.perf_counter()

    def failed(outcome: Outcome, reason: str) -> TrialOutcome:
        seconds = time.perf_counter() - began
        return TrialOutcome(outcome=outcome, reason=reason, meta_iterations=events.meta_iterations, seconds=seconds)

    try:
        result = meta_train(spec, events)
    except Diverged as error:
        result = failed(Outcome.DIVERGED, str(error))
    except OutOfMemory as error:
        result = failed(Outcome.OUT_OF_MEMORY, str(error))
    except torch.AcceleratorError:  # the CUDA context is lost with it: the worker starts another runner
        traceback.print_exc()
        os._exit(1)
    except Exception as error:  # a bug in a task family or in hpo: the study goes on, the trial says what happened
        traceback.print_exc()
        result = failed(Outcome.ERROR, describe(error))
    if isinstance(result, TrialOutcome):
        return Finished(trial_id=spec.trial_id, outcome=result)
    return Stopped(trial_id=spec.trial_id, meta_iteration=result.meta_iteration)


def describe(error: Exception) -> str:
    """``ValueError: what it says (file.py:12 in function)``."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno} in {frame.name})"
    return text.replace("\0", "")  # PostgreSQL takes none


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
    """Trains one spec after another until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a supervisor may signal every process: the worker decides
        signal.signal(number, signal.SIG_IGN)
    require_device()
    outbox = private_stdout()
    inbox = Inbox(sys.stdin)
    send(outbox, Ready())
    while True:
        spec = inbox.next_spec()
        send(outbox, train(spec, TrialEvents(spec.trial_id, inbox, outbox)))


if __name__ == "__main__":
    main()
