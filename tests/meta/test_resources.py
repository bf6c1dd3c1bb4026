from __future__ import annotations

import numpy as np
import pytest
import torch

from hpo.errors import DeviceNotFound, OutOfMemory
from hpo.meta.resources import find_device, naming_out_of_memory, peak_memory, reset_peak_memory

CPU = torch.device("cpu")


def test_torchs_cpu_allocator_running_out_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory, match="allocate"), naming_out_of_memory():
        torch.empty(2**55)


def test_numpys_memory_error_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory, match="allocate"), naming_out_of_memory():
        np.empty(2**55)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_other_ways_to_run_out(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match="memory"), naming_out_of_memory():
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), naming_out_of_memory():
        raise RuntimeError("shapes differ")


def test_peak_memory_sees_an_allocation_that_was_freed() -> None:
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    torch.ones(8 * 2**20).sum()  # 32 MiB
    assert peak_memory(CPU) > before + 2**24


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(DeviceNotFound, match="cuda:99"):
        find_device("cuda:99")
    assert find_device("cpu") == CPU
