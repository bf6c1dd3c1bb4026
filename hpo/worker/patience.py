"""Waiting out a database that is gone for a while."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from hpo.errors import StorageUnreachable

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
MAX_WAIT_S = 5.0


def patiently(call: Callable[[], _T], give_up: Callable[[], bool] = lambda: False) -> _T:
    """``call()``, tried again with growing pauses while the database does not answer.

    Any other error, and an outage once ``give_up()`` is true, is raised. ``call`` has to be safe to repeat.
    """
    for wait_s in _waits():
        try:
            return call()
        except StorageUnreachable as error:
            if give_up():
                raise
            _log.warning("%s; trying again in %.1f s", error, wait_s)
        _sleep(wait_s, give_up)
    raise AssertionError("the waits never end")


def _sleep(wait_s: float, give_up: Callable[[], bool]) -> None:
    deadline = time.monotonic() + wait_s
    while not give_up() and (left_s := deadline - time.monotonic()) > 0:
        time.sleep(min(0.1, left_s))


def _waits() -> Iterator[float]:
    wait_s = 0.1
    while True:
        yield wait_s * random.uniform(0.5, 1.0)  # workers that lost one database come back at different moments
        wait_s = min(2 * wait_s, MAX_WAIT_S)
