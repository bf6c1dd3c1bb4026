"""Trials that will not fit are refused before they are begun: what runs out of memory may take its neighbours along."""

from __future__ import annotations

import contextlib

import psutil

from hpo.config import InvalidConfig, TrialConfig
from hpo.memory import calibration, predicted_bytes
from hpo.nvidia_smi import mebibytes, nvidia_smi
from hpo.records import Outcome, TrialOutcome
from hpo.results import queries
from hpo.study import Lease, Study
from hpo.worker.slot import Slot


def refusal(study: Study, lease: Lease, slot: Slot) -> TrialOutcome | None:
    """How a trial ends that is predicted to take more than is free; None where it fits, or nobody knows."""
    free = free_bytes(slot)
    if free is None:
        return None
    needed = needed_bytes(study, lease, slot.device)
    if needed <= free:
        return None
    reason = f"not begun: it would take some {_gb(needed)} by its shapes, {slot.device} has {_gb(free)} free"
    return TrialOutcome(outcome=Outcome.OUT_OF_MEMORY, reason=reason)


def needed_bytes(study: Study, lease: Lease, device: str) -> int:
    """Of memory that the trial will take, by its shapes and by what this study's trials took."""
    kind = device.partition(":")[0]
    pairs = []
    for config, peak in queries.measured_peaks(study.database, study.study_id, kind):
        with contextlib.suppress(InvalidConfig):  # of another version, or of tasks that are not on this machine
            pairs.append((predicted_bytes(TrialConfig.from_dict(config), kind), peak))
    return round(calibration(pairs) * predicted_bytes(lease.config, kind))


def free_bytes(slot: Slot) -> int | None:
    """Of the slot's device now, whoever uses the rest; None where that cannot be asked."""
    if slot.torch_device == "cpu":
        return int(psutil.virtual_memory().available)
    device = slot.runner_environment()["CUDA_VISIBLE_DEVICES"]
    said = nvidia_smi(f"--id={device}", "--query-gpu=memory.free", "--format=csv,noheader,nounits")
    return mebibytes(said[0]) if said else None


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
