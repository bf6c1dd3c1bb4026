"""What a family of few-shot tasks is, and the batches that it gives.

Shapes: ``tasks`` in a batch, ``examples`` in one task's support or query set, ``time`` steps of the longest sequence,
``features`` of one step, ``values`` of one regression target. Padding is 0 and stands at a sequence's end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.config.tasks import TasksConfig


class Split(StrEnum):
    """What tasks are for: meta-training, the study's objective, or the final test."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class Tokens:
    """Inputs are sequences of integers in [0, vocabulary); 0 is kept for padding."""

    vocabulary: int


@dataclass(frozen=True)
class Features:
    """Inputs are sequences of real vectors."""

    size: int


@dataclass(frozen=True)
class Classes:
    """Targets are one of ``ways`` classes, 0..ways - 1; what a class stands for changes from task to task."""

    ways: int


@dataclass(frozen=True)
class Values:
    """Targets are real vectors (regression)."""

    size: int


@dataclass(frozen=True)
class Episode:
    """The support set or the query set of every task in a batch.

    inputs   (tasks, examples, time) int64 tokens, or (tasks, examples, time, features) float32
    targets  (tasks, examples) int64 classes, or (tasks, examples, values) float32
    lengths  (tasks, examples) int64: how many steps are no padding, at least 1
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, inputs: NDArray[Any], targets: NDArray[Any], lengths: NDArray[Any] | None = None) -> Self:
        """From arrays of any integer or real type; without ``lengths`` every sequence fills its ``time`` steps."""
        if lengths is None:
            lengths = np.full(inputs.shape[:2], inputs.shape[2])
        return cls(_tensor(inputs), _tensor(targets), _tensor(lengths))

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return int(self.inputs.shape[0])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """Moved to ``device``; ``dtype`` is for real numbers only, tokens and classes stay integers."""
        return type(self)(*(_to(tensor, device, dtype) for tensor in (self.inputs, self.targets, self.lengths)))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The tasks of all parts; shorter ones are padded."""
        time = max(part.inputs.shape[2] for part in parts)
        inputs = torch.cat([_padded(part.inputs, time) for part in parts])
        return cls(inputs, torch.cat([part.targets for part in parts]), torch.cat([part.lengths for part in parts]))

    def chunk(self, n: int) -> tuple[Self, ...]:
        """At most ``n`` parts of about equal size, split along the tasks."""
        parts = (self.inputs.chunk(n), self.targets.chunk(n), self.lengths.chunk(n))
        return tuple(type(self)(*part) for part in zip(*parts, strict=True))


@dataclass(frozen=True)
class TaskBatch:
    """What a learner adapts to (support) and is judged by (query); both hold the same tasks in the same order."""

    support: Episode
    query: Episode

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return self.support.tasks

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """Moved to ``device``; ``dtype`` is for real numbers only."""
        return type(self)(self.support.to(device, dtype), self.query.to(device, dtype))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The tasks of all parts; shorter ones are padded."""
        return cls(Episode.join([part.support for part in parts]), Episode.join([part.query for part in parts]))

    def chunk(self, n: int) -> tuple[Self, ...]:
        """At most ``n`` parts of about equal size, split along the tasks."""
        parts = zip(self.support.chunk(n), self.query.chunk(n), strict=True)
        return tuple(type(self)(support, query) for support, query in parts)


class TaskFamily(ABC):
    """A source of related few-shot tasks. One subclass in one file is a new family::

        # my_tasks.py: predict the next value of x[t] = a x[t - 1] + noise; each task has its own a
        import numpy as np
        from pydantic import Field

        from hpo.meta.tasks import Episode, Features, Split, TaskBatch, TaskFamily, TasksConfig, Values


        class WalkConfig(TasksConfig):                      # brings kind, shots and queries
            time: int = Field(20, ge=2, description="values that are read")


        class Walks(TaskFamily):
            Config = WalkConfig
            input = Features(1)
            output = Values(1)

            def sample(self, split, tasks, rng):
                low, high = {Split.TRAIN: (-0.9, 0.5), Split.VALIDATION: (0.5, 0.7), Split.TEST: (0.7, 0.9)}[split]
                a = rng.uniform(low, high, (tasks, 1))
                return TaskBatch(self.walk(a, self.config.shots, rng), self.walk(a, self.config.queries, rng))

            def walk(self, a, examples, rng):
                x = rng.normal(size=(len(a), examples, self.config.time + 1))
                for t in range(1, x.shape[2]):
                    x[:, :, t] = a * x[:, :, t - 1] + 0.1 * x[:, :, t]
                return Episode.of(x[:, :, :-1, None], x[:, :, -1:])

    A study config then says ``tasks: {kind: "my_tasks:Walks", time: 30}``. The three splits must not share tasks: what
    is meta-trained on must tell nothing of the others but what the family has in common.
    """

    Config: ClassVar[type[TasksConfig]] = TasksConfig
    config: Any  # an instance of Config

    def __init__(self, config: TasksConfig) -> None:
        """Keeps the config; a family that reads files does so here, so that it fails before anything is trained."""
        self.config = config

    @property
    @abstractmethod
    def input(self) -> Tokens | Features:
        """What one step of a sequence is; a class attribute will do."""

    @property
    @abstractmethod
    def output(self) -> Classes | Values:
        """What is predicted for a sequence; a class attribute will do."""

    @abstractmethod
    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        """``tasks`` new tasks of a split, on the CPU; all randomness comes from ``rng``: same state, same batch."""


def _tensor(array: NDArray[Any]) -> Tensor:
    kind = np.float32 if array.dtype.kind == "f" else np.int64
    return torch.from_numpy(np.require(array, kind, ["C", "W"]))


def _padded(inputs: Tensor, time: int) -> Tensor:
    """inputs (tasks, examples, steps, ...) -> (tasks, examples, time, ...)."""
    missing = time - inputs.shape[2]
    if not missing:
        return inputs
    shape = (*inputs.shape[:2], missing, *inputs.shape[3:])
    return torch.cat([inputs, inputs.new_zeros(shape)], dim=2)


def _to(tensor: Tensor, device: torch.device | str | None, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
