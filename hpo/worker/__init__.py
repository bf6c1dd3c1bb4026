"""A worker owns one device slot: it leases trials, has its runner train them, and records what came out."""

from hpo.worker.loop import Worker
from hpo.worker.slot import Slot

__all__ = ["Slot", "Worker"]
