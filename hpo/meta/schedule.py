"""What a runner trains in which order, and what is told of a trial that failed.

Trials that came together and have one program (see fused.py) are trained as one, the others one by one.
"""

from __future__ import annotations

import gc
import logging
import os
import time
import traceback
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from hpo.config import TrialConfig
from hpo.errors import Diverged, OutOfMemory
from hpo.meta.fused import meta_train_together, program
from hpo.meta.loop import Events, meta_train
from hpo.meta.loop import Stopped as LetGo
from hpo.records import Outcome, TrialOutcome, TrialSpec

__all__ = ["LetGo", "Row", "TrialEvents", "train_all"]
_log = logging.getLogger(__name__)


class TrialEvents(Events, Protocol):
    """What is told and asked of one trial, to the last."""

    @property
    def meta_iterations(self) -> int:
        """At the last report."""

    def ended(self, result: TrialOutcome | LetGo) -> None:
        """The trial is over for this runner; called once."""


@dataclass(frozen=True)
class Row:
    """A trial that is to be trained, alone or together with others."""

    spec: TrialSpec
    events: TrialEvents


def train_all(rows: Sequence[Row]) -> None:
    """Groups of one program one after the other."""
    for group in by_program(rows):
        train_group(group if len(rows) == 1 else [row for row in group if not _let_go(row)])


def _let_go(row: Row) -> bool:
    """Whether it is to be stopped while it waits for its group's turn, and so is not begun at all."""
    if row.events.interruption() != "stop":
        return False
    row.events.ended(LetGo(0))
    return True


def by_program(rows: Sequence[Row]) -> list[list[Row]]:
    """Trials that can be trained together, in the order in which they came."""
    if len(rows) == 1:
        return [list(rows)]
    groups: dict[Hashable, list[Row]] = {}
    for row in rows:
        groups.setdefault(_program(row.spec), []).append(row)
    return list(groups.values())


def _program(spec: TrialSpec) -> Hashable:
    try:
        config = TrialConfig.from_dict(spec.config)
    except Exception:  # what is wrong with it is said by its own training
        return spec.trial_id
    return program(config) if config.learner.is_fusible else spec.trial_id


def train_group(rows: Sequence[Row]) -> None:
    """Trials of one program as one; where that takes more memory than there is, the rest as two halves."""
    if len(rows) < 2:
        for row in rows:
            row.events.ended(train(row))
        return
    left = train_together(rows)
    if left:
        gc.collect()  # what the failed program's frames have held in cycles
        half = (len(left) + 1) // 2
        _log.warning("out of memory with %d trials in one program: the %d left are halved", len(rows), len(left))
        train_group(left[:half])
        train_group(left[half:])


def train_together(rows: Sequence[Row]) -> list[Row]:
    """Those that have not ended, as their program ran out of memory. Any other failure is that of all that are left."""
    began = time.perf_counter()
    left = dict(enumerate(rows))

    def ended(i: int, result: TrialOutcome | LetGo) -> None:
        left.pop(i).events.ended(result)

    try:
        meta_train_together([row.spec for row in rows], [row.events for row in rows], ended)
    except OutOfMemory:
        return list(left.values())
    except Exception as error:
        for row in left.values():
            row.events.ended(failure(error, row, began))
    return []


def train(row: Row) -> TrialOutcome | LetGo:
    """How the trial ended, or that it was let go. A failure of the trial is a result with a reason."""
    began = time.perf_counter()
    try:
        return meta_train(row.spec, row.events)
    except Exception as error:
        return failure(error, row, began)


def failure(error: Exception, row: Row, began: float) -> TrialOutcome:
    """What is told of a trial that has raised ``error``; ends the process where no other trial would fare better."""
    match error:
        case Diverged():
            outcome, reason = Outcome.DIVERGED, str(error)
        case OutOfMemory():
            outcome, reason = Outcome.OUT_OF_MEMORY, str(error)
        case torch.AcceleratorError():  # the CUDA context is lost with it: the worker starts another runner
            traceback.print_exception(error)
            os._exit(1)
        case _:  # a bug in a task family or in hpo: the study goes on, the trial says what happened
            traceback.print_exception(error)
            outcome, reason = Outcome.ERROR, describe(error)
    seconds = time.perf_counter() - began
    return TrialOutcome(outcome=outcome, reason=reason, meta_iterations=row.events.meta_iterations, seconds=seconds)


def describe(error: Exception) -> str:
    """``ValueError: what it says (file.py:12 in function)``."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno} in {frame.name})"
    return text.replace("\0", "")  # PostgreSQL takes none
