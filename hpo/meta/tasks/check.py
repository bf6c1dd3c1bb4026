"""Checks a batch once, where it comes from a family that a user may have written."""

from __future__ import annotations

import torch
from torch import Tensor

from hpo.errors import InputError
from hpo.meta.tasks.base import Classes, Episode, Features, TaskBatch, TaskFamily, Tokens, Values


def check(batch: TaskBatch, family: TaskFamily, tasks: int | None = None) -> TaskBatch:
    """The batch itself, if it is what ``family`` promises; with ``tasks``, if it also has that many tasks.

    Raises InputError that names the family, the field, what was found and what was expected.
    """
    name = f"{type(family).__module__}:{type(family).__qualname__}"
    _expect(isinstance(family.input, Tokens | Features), f"{name}.input", repr(family.input), "Tokens or Features")
    _expect(isinstance(family.output, Classes | Values), f"{name}.output", repr(family.output), "Classes or Values")
    _expect(isinstance(batch, TaskBatch), f"{name}.sample()", type(batch).__name__, "a TaskBatch")
    for part, episode in (("support", batch.support), ("query", batch.query)):
        _check_episode(f"{name}: {part}", episode, family)
    _expect(
        batch.query.tasks == batch.support.tasks,
        f"{name}: query.inputs",
        f"{batch.query.tasks} tasks",
        f"{batch.support.tasks} tasks as in support",
    )
    _expect(tasks in (None, batch.tasks), f"{name}.sample()", f"{batch.tasks} tasks", f"{tasks} tasks, as asked for")
    return batch


def _check_episode(where: str, episode: Episode, family: TaskFamily) -> None:
    _expect(isinstance(episode, Episode), where, type(episode).__name__, "an Episode")
    _check_inputs(f"{where}.inputs", episode.inputs, family.input)
    tasks, examples, time = episode.inputs.shape[:3]
    sizes = f"({tasks}, {examples})"
    if isinstance(family.output, Classes):
        _check_tensor(f"{where}.targets", episode.targets, torch.int64, (tasks, examples), f"{sizes} as in inputs")
        _check_range(f"{where}.targets", episode.targets, 0, family.output.ways - 1)
    else:
        shape = (tasks, examples, family.output.size)
        _check_tensor(f"{where}.targets", episode.targets, torch.float32, shape, f"{shape} (tasks, examples, values)")
        _check_finite(f"{where}.targets", episode.targets)
    _check_tensor(f"{where}.lengths", episode.lengths, torch.int64, (tasks, examples), f"{sizes} as in inputs")
    _check_range(f"{where}.lengths", episode.lengths, 1, time)
    _check_padding(f"{where}.inputs", episode)


def _check_inputs(where: str, inputs: Tensor, expected: Tokens | Features) -> None:
    if isinstance(expected, Tokens):
        _check_tensor(where, inputs, torch.int64, (None, None, None), "(tasks, examples, time)")
        _check_range(where, inputs, 0, expected.vocabulary - 1)
    else:
        shape = (None, None, None, expected.size)
        _check_tensor(where, inputs, torch.float32, shape, f"(tasks, examples, time, {expected.size})")
        _check_finite(where, inputs)


def _check_tensor(
    where: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int | None, ...], described: str
) -> None:
    """``None`` in ``shape`` stands for any size above 0."""
    _expect(isinstance(tensor, Tensor), where, type(tensor).__name__, f"a torch tensor (see Episode.of) {described}")
    found = f"{_name(tensor.dtype)} of shape {tuple(tensor.shape)}"
    fits = len(tensor.shape) == len(shape) and all(
        size == wanted if wanted is not None else size > 0 for size, wanted in zip(tensor.shape, shape, strict=True)
    )
    _expect(fits and tensor.dtype == dtype, where, found, f"{_name(dtype)} of shape {described}")
    _expect(tensor.device.type == "cpu", where, f"a tensor on {tensor.device}", "one on the CPU")


def _check_range(where: str, tensor: Tensor, low: int, high: int) -> None:
    smallest, largest = (int(value) for value in torch.aminmax(tensor))
    _expect(low <= smallest and largest <= high, where, f"values in {smallest}..{largest}", f"values in {low}..{high}")


def _check_padding(where: str, episode: Episode) -> None:
    padding = torch.arange(episode.inputs.shape[2]) >= episode.lengths[..., None]  # (tasks, examples, time)
    while padding.ndim < episode.inputs.ndim:
        padding = padding.unsqueeze(-1)
    _expect(
        not (episode.inputs * padding).any(), where, "other values than 0 after a sequence's length", "0 as padding"
    )


def _check_finite(where: str, tensor: Tensor) -> None:
    _expect(bool(torch.isfinite(tensor).all()), where, "infinite or NaN values", "finite numbers only")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _expect(holds: bool, where: str, found: str, expected: str) -> None:
    if not holds:
        raise InputError(f"{where}: found {found}, expected {expected}")
