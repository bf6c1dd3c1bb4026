"""Which devices this machine has and how a config's wish is met, without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Literal

from hpo.errors import DeviceNotFound

QUERY_TIMEOUT_S = 20.0  # a driver that wakes up many GPUs takes seconds
_INSTEAD = "use  devices: auto  to take what there is"


@dataclass(frozen=True)
class Device:
    """``name`` as configs write it; ``memory_bytes`` None where it is the machine's own memory."""

    name: str
    description: str
    memory_bytes: int | None = None


@dataclass(frozen=True)
class SlotPlan:
    """One worker to be started: its device and how many CPU threads it may use."""

    device: str
    threads: int


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def cpu() -> Device:
    """The machine's processor."""
    return Device("cpu", f"{cores()} cores")


def gpus() -> list[Device]:
    """The CUDA devices that ``nvidia-smi`` shows and CUDA_VISIBLE_DEVICES admits; none without a driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_TIMEOUT_S, check=False)
    if answer.returncode != 0:
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.stdout.splitlines() if line.strip()]
    return [Device(f"cuda:{position}", row[2], int(row[3]) * 2**20) for position, row in enumerate(_visible(rows))]


def _visible(rows: list[list[str]]) -> list[list[str]]:
    """CUDA_VISIBLE_DEVICES names devices by index or by the start of their UUID, in the order that counts."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return rows
    return [
        row
        for name in wanted.split(",")
        for row in rows
        if name and (row[0] == name or (name.startswith("GPU-") and row[1].startswith(name)))
    ]


def choose(wish: Literal["auto", "cpu", "cuda"] | list[str]) -> list[Device]:
    """The devices for a config's ``execution.devices``; raises DeviceNotFound where one is not there."""
    if wish == "cpu":
        return [cpu()]
    found = gpus()
    if wish == "auto":
        return found or [cpu()]
    if wish == "cuda":
        if not found:
            raise DeviceNotFound(f"execution.devices: cuda asks for a GPU, but this machine has only: cpu; {_INSTEAD}")
        return found
    there = {device.name: device for device in [cpu(), *found]}
    for name in wish:
        if name not in there:
            has = f"this machine has only: {', '.join(there)}"
            raise DeviceNotFound(f"execution.devices asks for {name!r}, but {has}; {_INSTEAD}")
    return [there[name] for name in wish]


def plan_slots(devices: list[Device], slots_per_device: int) -> list[SlotPlan]:
    """One entry a worker; the cores are divided among all of them."""
    count = len(devices) * slots_per_device
    threads = max(1, cores() // count)
    return [SlotPlan(device.name, threads) for device in devices for _ in range(slots_per_device)]
