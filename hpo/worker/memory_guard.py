"""Trials that will not fit are refused before they are begun: what runs out of memory may take its neighbours along."""

from __future__ import annotations

import shutil
import subprocess

import psutil

from hpo.records import Outcome, TrialOutcome
from hpo.study import Lease, Study
from hpo.worker.slot import Slot

QUERY_TIMEOUT_S = 20.0


def refusal(study: Study, lease: Lease, slot: Slot) -> TrialOutcome | None:
    """How a trial ends that is predicted to take more than is free; None where it fits, or nobody knows."""
    free = free_bytes(slot)
    if free is None:
        return None
    needed = study.predicted_bytes(lease, slot.device)
    if needed <= free:
        return None
    reason = f"not begun: it would take some {_gb(needed)} by its shapes, {slot.device} has {_gb(free)} free"
    return TrialOutcome(outcome=Outcome.OUT_OF_MEMORY, reason=reason)


def free_bytes(slot: Slot) -> int | None:
    """Of the slot's device now, whoever uses the rest; None where that cannot be asked."""
    if slot.torch_device == "cpu":
        return int(psutil.virtual_memory().available)
    if shutil.which("nvidia-smi") is None:
        return None
    device = slot.runner_environment()["CUDA_VISIBLE_DEVICES"]
    command = ["nvidia-smi", f"--id={device}", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_TIMEOUT_S, check=False)
    mebibytes = answer.stdout.strip()
    return int(mebibytes) * 2**20 if answer.returncode == 0 and mebibytes.isdigit() else None


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
