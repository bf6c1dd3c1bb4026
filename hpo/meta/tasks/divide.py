"""Which part of what a data set holds is learned from, and which is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from hpo.config.tasks import HeldOutConfig
from hpo.errors import InputError
from hpo.meta.tasks.base import Split


def divide(names: Iterable[str], config: HeldOutConfig, what: str) -> dict[Split, list[str]]:
    """The names of every split, each at least one, in an order that tells nothing; ``what`` they name, for messages.

    They are put in the order of a hash of split_seed and name. So it is the same on every machine and in every version
    of every library, whatever the order of ``names``, and a name more moves few of the others.
    """
    ordered = sorted(set(names), key=lambda name: hashlib.sha256(f"{config.split_seed}:{name}".encode()).digest())
    if len(ordered) < len(Split):
        raise InputError(f"tasks: found {len(ordered)} {what}, expected at least {len(Split)}: one for every split")
    test = _held_out(config.test_share, len(ordered), at_most=len(ordered) - 2)
    validation = _held_out(config.validation_share, len(ordered), at_most=len(ordered) - test - 1)
    return {
        Split.TRAIN: ordered[test + validation :],
        Split.VALIDATION: ordered[test : test + validation],
        Split.TEST: ordered[:test],
    }


def _held_out(share: float, number: int, at_most: int) -> int:
    return min(max(1, round(share * number)), at_most)
