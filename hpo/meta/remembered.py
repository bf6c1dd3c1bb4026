"""What an exported learner with a memory of tasks has been adapted to since: bytes for a database, slot by slot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import safetensors.torch

from hpo.errors import InputError
from hpo.meta.exported import ExportedLearner
from hpo.meta.learners.memory_bank import MemoryBank
from hpo.meta.learners.task_bank import fill_slot, slot_of
from hpo.meta.tasks import Episode


class Remembered:
    """Of one exported learner; raises InputError where that has no memory."""

    def __init__(self, exported: ExportedLearner) -> None:
        learner = exported.learner
        if not isinstance(learner, MemoryBank):
            raise InputError(
                f"found a learner of kind {exported.config.learner.kind}, expected memory_bank: it alone"
                " remembers tasks"
            )
        self._learner = learner
        self._meta = exported.meta
        self.fingerprint = hashlib.sha256(safetensors.torch.save(exported.meta)).hexdigest()

    def recall(self, slots: Mapping[int, bytes]) -> None:
        """Has the learner's bank hold what :meth:`remember` gave."""
        for slot, content in slots.items():
            fill_slot(self._meta, slot, safetensors.torch.load(content))

    def remember(self, support: Episode) -> dict[int, bytes]:
        """Stores these tasks in the bank; slot -> content of those that have changed by it."""
        before = self._meta["bank.used"].clone()
        self._learner.remember(self._meta, support)
        changed = (self._meta["bank.used"] != before).nonzero().flatten().tolist()
        return {slot: safetensors.torch.save(slot_of(self._meta, slot)) for slot in changed}
