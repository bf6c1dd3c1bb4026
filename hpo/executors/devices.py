"""Which devices this machine has and how a config's wish is met, without importing torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Literal

from hpo.errors import DeviceNotFound
from hpo.nvidia_smi import mebibytes, nvidia_smi

_SLICE = re.compile(r"MIG (?P<profile>\S*?(?P<gigabytes>\d+)gb\S*)\s.*\(UUID: (?P<uuid>MIG-[^)]+)\)")
_INSTEAD = "use  devices: auto  to take what there is"


@dataclass(frozen=True)
class Device:
    """``name`` as configs write it; memory None where it is the machine's own, or is not known.

    ``uuid``: what CUDA_VISIBLE_DEVICES takes of a GPU or of a MIG slice; it does not change with the others' order.
    """

    name: str
    description: str
    memory_bytes: int | None = None
    uuid: str | None = None
    free_bytes: int | None = None


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
    """The CUDA devices that ``nvidia-smi`` shows and CUDA_VISIBLE_DEVICES admits; none without a driver.

    A GPU that is cut into MIG slices is as many devices as it has slices, and none itself.
    """
    admitted = _admitted([device for index, gpu in _whole_gpus() for device in _with_index(index, gpu)])
    return [replace(device, name=f"cuda:{position}") for position, device in enumerate(admitted)]


def pin_by_uuid() -> None:
    """From here on this process, and who it starts, means by ``cuda:N`` what :func:`gpus` shows, by its UUID.

    CUDA's own numbers are by speed or by bus, and a MIG slice has none.
    """
    if uuids := [device.uuid for device in gpus() if device.uuid is not None]:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(uuids)


_Numbered = tuple[str, Device]  # the index that CUDA_VISIBLE_DEVICES may use; "" where there is none


def _whole_gpus() -> list[_Numbered]:
    fields = "index,uuid,name,memory.total,memory.free"
    rows = nvidia_smi(f"--query-gpu={fields}", "--format=csv,noheader,nounits")
    return [
        (index, Device("", name, mebibytes(total), uuid, mebibytes(free)))
        for index, uuid, name, total, free in (line.split(", ") for line in rows if line.count(", ") == 4)
    ]


def _with_index(index: str, gpu: Device) -> list[_Numbered]:
    slices = [found for line in nvidia_smi("-L", f"--id={index}") if (found := _SLICE.match(line))]
    return [("", _slice(found, gpu)) for found in slices] or [(index, gpu)]


def _slice(found: re.Match[str], gpu: Device) -> Device:
    gigabytes = int(found["gigabytes"])
    return Device("", f"{gpu.description} MIG {found['profile']}", gigabytes * 2**30, found["uuid"])


def _admitted(found: list[_Numbered]) -> list[Device]:
    """CUDA_VISIBLE_DEVICES names devices by index or by the start of their UUID, in the order that counts."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return [device for _, device in found]
    return [
        device
        for name in filter(None, wanted.split(","))
        for index, device in found
        if name == index or (name.startswith(("GPU-", "MIG-")) and (device.uuid or "").startswith(name))
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
