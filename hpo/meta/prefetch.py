"""The next meta-batch is made while the current one is learned from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Items ``make(i)`` by number, i < end, one ahead in a thread of its own; ``make`` depends on nothing but i.

    An exception of ``make(i)`` is raised by ``self(i)``; :meth:`close` ends the thread.
    """

    def __init__(self, make: Callable[[int], T], end: int) -> None:
        self._make = make
        self._end = end
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._next: tuple[int, Future[T]] | None = None

    def __call__(self, number: int) -> T:
        """Item ``number``: at once if it is the one after the last."""
        ahead = self._next
        ready = ahead[1] if ahead is not None and ahead[0] == number else self._pool.submit(self._make, number)
        item = ready.result()
        following = number + 1
        self._next = (following, self._pool.submit(self._make, following)) if following < self._end else None
        return item

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)
