"""What differs between the config that a study has and the one that it is launched with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpo.config.kinds import KINDS
from hpo.config.paths import flatten
from hpo.config.search import CategoricalDimension, Dimension, occurs
from hpo.config.study import StudyConfig

ABSENT = object()  # the value of a field that one of the two configs does not have
_ALWAYS_ALLOWED = ("stop", "execution")


@dataclass(frozen=True)
class Difference:
    """``allowed``: a running study can take it, as no trial that it has becomes wrong by it.

    Of a new dimension, where the value that its trials had lies in it: that is for who knows them to check.
    """

    path: str
    old: Any
    new: Any
    allowed: bool


def differences(old: StudyConfig, new: StudyConfig) -> list[Difference]:
    """All differences in meaning, in the order of the new config: ``storage``, where the study lies, is none."""
    return [*_field_differences(old, new), *_search_differences(old.search, new.search)]


def describe(found: Iterable[Difference]) -> str:
    """One line a difference: ``learner.inner_lr: was 0.1, is now 0.2``."""
    return "\n".join(_line(difference) for difference in found)


def _field_differences(old: StudyConfig, new: StudyConfig) -> Iterator[Difference]:
    before, after = (flatten({**config.meaning(), "search": {}}) for config in (old, new))
    for path in [*after, *(path for path in before if path not in after)]:
        was, now = before.get(path, ABSENT), after.get(path, ABSENT)
        if was != now or type(was) is not type(now):
            section = path.partition(".")[0]
            added = was is ABSENT and section in KINDS  # an option of a kind that no trial has had
            yield Difference(path, was, now, section in _ALWAYS_ALLOWED or added)


def _search_differences(old: Mapping[str, Dimension], new: Mapping[str, Dimension]) -> Iterator[Difference]:
    for path in [*new, *(path for path in old if path not in new)]:
        if path in old and path in new:
            yield from _dimension_differences(f"search.{path}", old[path], new[path])
        else:
            was, now = (side[path].model_dump(mode="json") if path in side else ABSENT for side in (old, new))
            yield Difference(f"search.{path}", was, now, allowed=path in new)


def _dimension_differences(path: str, old: Dimension, new: Dimension) -> Iterator[Difference]:
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    for key in dict.fromkeys([*after, *before]):
        was, now = before.get(key, ABSENT), after.get(key, ABSENT)
        if was != now:
            yield Difference(f"{path}.{key}", was, now, key in ("low", "high", "choices") and _widens(key, old, new))


def _widens(key: str, old: Dimension, new: Dimension) -> bool:
    """Whether the new ``low``, ``high`` or ``choices`` leaves every old value in its place."""
    if isinstance(old, CategoricalDimension) or isinstance(new, CategoricalDimension):
        return isinstance(old, CategoricalDimension) and isinstance(new, CategoricalDimension) and _keeps(old, new)
    if (old.type, old.log, old.step) != (new.type, new.log, new.step):
        return False
    if key == "high":
        return new.high >= old.high
    return new.low <= old.low and _same_grid(old.low, new.low, old.step)


def _keeps(old: CategoricalDimension, new: CategoricalDimension) -> bool:
    return all(occurs(new, choice) for choice in old.choices)


def _same_grid(old_low: float, new_low: float, step: float | None) -> bool:
    steps = 0.0 if step is None else (old_low - new_low) / step
    return math.isclose(steps, round(steps), abs_tol=1e-8)


def _line(difference: Difference) -> str:
    was, now = ("absent" if side is ABSENT else side for side in (difference.old, difference.new))
    return f"{difference.path}: was {was}, is now {now}"
