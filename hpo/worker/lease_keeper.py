"""Shows that the worker lives: renews its lease and its line in the worker table from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hpo.errors import LeaseLost
from hpo.study import Lease

_log = logging.getLogger(__name__)


@dataclass
class Hold:
    """One of several leases that are renewed together; ``lost`` once it is over or another worker's."""

    lease: Lease
    lost: bool = False


class LeaseKeeper:
    """Calls ``renew`` every ``every_s`` seconds while the with-block runs; ``lost`` once it raised LeaseLost.

    A database that does not answer is no reason to end a training: the next call tries again, and the fencing token
    keeps this worker from writing if another has taken over in the meantime.
    """

    def __init__(self, renew: Callable[[], None], every_s: float) -> None:
        self._renew = renew
        self._every_s = every_s
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another worker has taken over."""
        return self._lost.is_set()

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=1.0)  # a call that waits for the database ends by itself

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                self._renew()
            except LeaseLost:
                self._lost.set()
                return
            except Exception as error:  # whatever the driver raises while the database is away
                _log.warning("the lease could not be renewed: %s", type(error).__name__)


def renew_each(holds: Iterable[Hold], renew: Callable[[Lease], None]) -> None:
    """``renew`` of every lease that is not lost; one that is does not keep the others from being renewed."""
    for hold in holds:
        if not hold.lost:
            try:
                renew(hold.lease)
            except LeaseLost:
                hold.lost = True
