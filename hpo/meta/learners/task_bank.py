"""A bounded memory of tasks: descriptors, and the parameters that each task was solved with; the least recently used is
overwritten.

It is a part of the meta-parameters, so that it is saved, resumed and exported with them; nothing is derived by it.

    bank.descriptor  (slots, D) of length one
    bank.used        (slots,) when a slot was last used, counted in uses; 0: it is empty
    bank.NAME        (slots, *shape) for every parameter that is stored
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from hpo.meta.cells import Params

_PREFIX = "bank."


class Nearest(NamedTuple):
    """For every task the slot that is most similar, and its cosine similarity (tasks,); minus one of an empty bank."""

    slot: Tensor
    similarity: Tensor


def empty_bank(slots: int, size: int, stored: Params) -> Params:
    """For descriptors of ``size`` numbers and parameters like ``stored``."""
    like = next(iter(stored.values()))
    bank = {f"{_PREFIX}descriptor": like.new_zeros(slots, size), f"{_PREFIX}used": like.new_zeros(slots)}
    return bank | {_PREFIX + name: tensor.new_zeros(slots, *tensor.shape) for name, tensor in stored.items()}


def is_of_bank(name: str) -> bool:
    """Whether this meta-parameter is a part of the bank."""
    return name.startswith(_PREFIX)


def nearest(meta: Params, descriptors: Tensor) -> Nearest:
    """To descriptors (tasks, D) of length one; the similarity is differentiable by them."""
    similarities = descriptors @ meta[f"{_PREFIX}descriptor"].mT  # (tasks, slots)
    similarities = similarities.masked_fill(meta[f"{_PREFIX}used"] < 1.0, -1.0)
    similarity, slot = similarities.max(dim=1)
    return Nearest(slot, similarity)


def recalled(meta: Params, slot: Tensor, names: list[str]) -> Params:
    """The parameters in the slots (tasks,): (tasks, *shape)."""
    return {name: meta[_PREFIX + name].index_select(0, slot) for name in names}


def slot_of(meta: Params, slot: int) -> Params:
    """All that a slot holds, by the names that :func:`fill_slot` knows it by."""
    return {name.removeprefix(_PREFIX): tensor[slot].clone() for name, tensor in meta.items() if is_of_bank(name)}


def fill_slot(meta: Params, slot: int, content: Params) -> None:
    """In place."""
    for name, tensor in content.items():
        meta[_PREFIX + name][slot] = tensor


def memorize(meta: Params, descriptors: Tensor, solved: Params, near: float) -> None:
    """One task after the other, in place: over the nearest slot where it is at least ``near``, else over the oldest."""
    used = meta[f"{_PREFIX}used"]
    for task, descriptor in enumerate(descriptors):
        found = nearest(meta, descriptor.unsqueeze(0))
        slot = int(found.slot) if float(found.similarity) >= near else int(used.argmin())
        used[slot] = used.max() + 1.0
        meta[f"{_PREFIX}descriptor"][slot] = descriptor
        for name, tensor in solved.items():
            meta[_PREFIX + name][slot] = tensor[task]
