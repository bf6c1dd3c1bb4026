"""Where a trial's time goes, by component."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch


@dataclass
class Profile:
    """Seconds by component; what is measured inside another component belongs to the outer one.

    inside  whether a component is being measured
    """

    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    inside: bool = False

    def complete(self) -> dict[str, float]:
        """The seconds by component so far, and those that belong to none as ``other``."""
        other = time.perf_counter() - self.began - sum(self.seconds.values())
        return {**self.seconds, "other": max(0.0, other)}

    def add(self, name: str, seconds: float) -> None:
        """Counts time that was measured elsewhere."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Counts the block's time, unless it is inside another one's."""
        if self.inside:
            yield
            return
        self.inside = True
        began = _now()
        try:
            yield
        finally:
            self.add(name, _now() - began)
            self.inside = False


_active: ContextVar[Profile | None] = ContextVar("profile", default=None)


@contextmanager
def profiled() -> Iterator[Profile]:
    """A profile of everything that this thread does in the block."""
    profile = Profile()
    token = _active.set(profile)
    try:
        yield profile
    finally:
        _active.reset(token)


_NOTHING = nullcontext()


def component(name: str) -> AbstractContextManager[None]:
    """Measures the block for the active profile; without one it does nothing, in no time."""
    profile = _active.get()
    return _NOTHING if profile is None else profile.measure(name)


@contextmanager
def parts(take: Callable[[], dict[str, float]]) -> Iterator[None]:
    """Measures a block that knows best how its time divides: ``take`` gives how much each part took since it was asked.

    Several threads may have worked at a time, so the shares count, of the time that the block took.
    """
    profile = _active.get()
    if profile is None or profile.inside:
        yield
        return
    take()
    began = _now()
    yield
    seconds, taken = _now() - began, take()
    for name, part in taken.items():
        if part:
            profile.add(name, seconds * part / sum(taken.values()))


def _now() -> float:
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()  # what was launched before belongs to what launched it
    return time.perf_counter()
