"""What a worker and its runner say to each other: one JSON object a line.

    worker -> runner   train   a spec; the runner answers with events and one result. Several belong together: those
                               of equal shapes are trained as one program, the others after it
                       prune   end that trial at the next meta-iteration: it is not worth its budget
                       stop    checkpoint that trial at the next meta-iteration and let it go
    runner -> worker   ready, report, checkpoint, result, stopped

Each message names its trial, so one that comes late does not hit the next trial.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from hpo.records import Record, Report, TrialOutcome, TrialSpec


class Train(Record):
    """Train this trial, from its checkpoint where there is one; with the next ``together - 1`` that are sent."""

    type: Literal["train"] = "train"
    spec: TrialSpec
    together: int = Field(1, ge=1)


class Prune(Record):
    """End the trial: the pruner has decided against it."""

    type: Literal["prune"] = "prune"
    trial_id: int


class Stop(Record):
    """Checkpoint the trial and let it go, to be continued later."""

    type: Literal["stop"] = "stop"
    trial_id: int


class Ready(Record):
    """The runner has started and waits for a spec."""

    type: Literal["ready"] = "ready"


class Reported(Record):
    """The objective at a rung."""

    type: Literal["report"] = "report"
    trial_id: int
    report: Report


class Checkpointed(Record):
    """A checkpoint is on disk."""

    type: Literal["checkpoint"] = "checkpoint"
    trial_id: int
    meta_iteration: int
    path: str


class Finished(Record):
    """The trial has ended."""

    type: Literal["result"] = "result"
    trial_id: int
    outcome: TrialOutcome


class Stopped(Record):
    """The trial was let go after a checkpoint; 0: before it was begun, whatever checkpoint it has."""

    type: Literal["stopped"] = "stopped"
    trial_id: int
    meta_iteration: int


Command = Annotated[Train | Prune | Stop, Field(discriminator="type")]
Event = Annotated[Ready | Reported | Checkpointed | Finished | Stopped, Field(discriminator="type")]

_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def to_line(message: Record) -> str:
    """The message as one line; :func:`command` and :func:`event` read it back."""
    return message.model_dump_json() + "\n"


def command(line: str) -> Command:
    """A worker's line; pydantic.ValidationError where it is none."""
    return _COMMAND.validate_json(line)


def event(line: str) -> Event:
    """A runner's line; pydantic.ValidationError where it is none."""
    return _EVENT.validate_json(line)
