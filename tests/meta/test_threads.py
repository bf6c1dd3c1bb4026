"""What use_threads does to the arithmetic of this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from hpo.meta.threads import use_threads

SMALLEST_NORMAL = torch.finfo(torch.float32).tiny


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    threads = torch.get_num_threads()
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot count denormal numbers as 0")
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def test_denormal_numbers_count_as_zero() -> None:
    half = torch.tensor([SMALLEST_NORMAL]) * 0.5
    assert half.item() > 0.0
    use_threads(1, torch.device("cpu"))
    assert (torch.tensor([SMALLEST_NORMAL]) * 0.5).item() == 0.0
