from __future__ import annotations

import numpy as np
import pytest
import torch
from episodic_cases import Reals, cosine, softmax
from hypothesis import given
from hypothesis import strategies as st

from hpo.meta.learners.external_memory import LeastRecentlyUsed, Memory

SLOTS, WIDTH = 7, 3


def step(
    slots: Reals, read: Reals, usage: Reals, keys: Reals, gate: Reals, strength: Reals, decay: float
) -> tuple[Reals, ...]:
    """One sequence's step, equation by equation, slot by slot."""
    heads = len(keys)
    least = np.argsort(usage, kind="stable")[:heads]
    written = np.array(slots)
    written[least] = 0.0
    write = np.zeros((heads, SLOTS))
    for h in range(heads):
        for i in range(SLOTS):
            write[h, i] = gate[h] * read[h, i] + (1 - gate[h]) * (i == least[h])
            written[i] += write[h, i] * keys[h]
    read = np.array(
        [softmax(np.array([strength[h] * cosine(keys[h], slot) for slot in written])) for h in range(heads)]
    )
    found = np.array([sum(read[h, i] * written[i] for i in range(SLOTS)) for h in range(heads)])
    return found, written, read, decay * usage + read.sum(axis=0) + write.sum(axis=0)


@given(seed=st.integers(0, 10**6), heads=st.integers(1, 3), decay=st.floats(0.0, 1.0))
def test_addressing_is_that_of_the_equations_step_by_step(seed: int, heads: int, decay: float) -> None:
    rng = np.random.default_rng(seed)
    access = LeastRecentlyUsed(SLOTS, WIDTH, heads, decay)
    gate, strength = rng.random(heads), rng.uniform(0.5, 8.0, heads)
    expected = [
        (rng.normal(size=(SLOTS, WIDTH)), rng.dirichlet(np.ones(SLOTS), heads), rng.random(SLOTS)) for _ in range(2)
    ]
    memory = Memory(*(torch.from_numpy(np.stack(part)) for part in zip(*expected, strict=True)))
    for _ in range(4):
        keys = rng.normal(size=(2, heads, WIDTH))
        found, memory = access.step(memory, *map(torch.from_numpy, (keys, gate, strength)))
        steps = [step(*before, own, gate, strength, decay) for before, own in zip(expected, keys, strict=True)]
        expected = [after for _, *after in steps]
        np.testing.assert_allclose(found.numpy(), [own for own, *_ in steps], rtol=1e-10, atol=1e-12)
        for part, own in zip(memory, zip(*expected, strict=True), strict=True):
            np.testing.assert_allclose(part.numpy(), np.stack(own), rtol=1e-10, atol=1e-12)


def test_a_first_key_is_written_into_an_empty_slot_and_found_there() -> None:
    access = LeastRecentlyUsed(SLOTS, WIDTH, heads=1, decay=0.5)
    keys = torch.eye(WIDTH, dtype=torch.float64)[None, :1]
    gate, strength = torch.zeros(1, dtype=torch.float64), torch.full((1,), 50.0, dtype=torch.float64)
    found, memory = access.step(access.empty(1, keys), keys, gate, strength)
    assert found[0, 0].tolist() == pytest.approx([1.0, 0.0, 0.0])
    assert memory.slots[0, :, 0].tolist() == [1.0] + [0.0] * (SLOTS - 1)


def test_the_least_used_slot_is_the_next_to_be_overwritten() -> None:
    access = LeastRecentlyUsed(SLOTS, WIDTH, heads=1, decay=0.5)
    generator = torch.Generator().manual_seed(0)
    keys = torch.randn(SLOTS + 1, 1, 1, WIDTH, dtype=torch.float64, generator=generator)
    gate, strength = torch.zeros(1, dtype=torch.float64), torch.full((1,), 50.0, dtype=torch.float64)
    memory = access.empty(1, keys)
    for key in keys:
        _, memory = access.step(memory, key, gate, strength)
    torch.testing.assert_close(memory.slots[0], torch.cat([keys[-1:], keys[1:-1]])[:, 0, 0])
