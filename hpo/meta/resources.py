"""Devices, memory, and what running out of it looks like."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from hpo.errors import DeviceNotFound, OutOfMemory

_MEGABYTE = 2**20
_CPU_MESSAGES = ("can't allocate memory", "not enough memory")  # of torch's CPU allocator, a plain RuntimeError


def find_device(name: str) -> torch.device:
    """The device of that name; raises DeviceNotFound where this process does not see it."""
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceNotFound(f"{name}: found {torch.cuda.device_count()} CUDA devices; `hpo devices` lists them")
    return device


def reset_peak_memory(device: torch.device) -> None:
    """Starts the measurement of :func:`peak_memory` anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        # proc(5): 5 resets the peak resident set size. Where it is not allowed, the peak of the process so far stays.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Bytes: most that tensors took on a GPU; the most memory that this whole process had on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if platform.system() == "Linux":
        # not getrusage(2): its peak is that of the process that started this one, where that was larger
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def keep_freed_memory() -> None:
    """Tells glibc to reuse what tensors leave rather than to hand it back to the system and fault it in again.

    A meta-iteration frees and takes the same megabytes again and again: 43 ms -> 31 ms (LSTM, H = 32, one inner step,
    16 tasks, second order, derivatives by recurrences.) Elsewhere nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
    libc = ctypes.CDLL(None)
    for option, size in (
        (mmap_threshold, 32 * _MEGABYTE),
        (trim_threshold, 512 * _MEGABYTE),
        (top_pad, 16 * _MEGABYTE),
    ):
        libc.mallopt(option, size)


@contextlib.contextmanager
def naming_out_of_memory() -> Iterator[None]:
    """Turns every way in which memory runs out into OutOfMemory."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(str(error) or "the host's memory is exhausted") from error
    except RuntimeError as error:
        if any(message in str(error) for message in _CPU_MESSAGES):
            raise OutOfMemory(str(error)) from error
        raise
