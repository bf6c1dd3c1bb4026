"""The read-out and the embedding are linear maps; back-propagation goes through their transposes."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hpo.meta.embedding import LookUp
from hpo.meta.packing import pack
from hpo.meta.read_out import ReadOut

lengths_of_examples = st.tuples(st.integers(1, 3), st.integers(1, 4)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(1, 5), min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    )
)
kinds = st.sampled_from(["last", "mean"])
seeds = st.integers(0, 2**32)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=50)
@given(lengths=lengths_of_examples, kind=kinds, seed=seeds)
def test_read_out_is_the_last_step_or_the_mean(lengths: list[list[int]], kind: str, seed: int) -> None:
    time, tasks, examples = 5, len(lengths), len(lengths[0])
    packing = pack(torch.tensor(lengths), time)
    dense = normal(seed, tasks, examples, time, 3)
    packed = dense.flatten(1, 2).gather(1, packing.source.unsqueeze(2).expand(-1, -1, 3))
    read = ReadOut(kind, packing)(packed)
    for task, own in enumerate(lengths):
        for example, length in enumerate(own):
            valid = dense[task, example, :length]
            torch.testing.assert_close(read[task, example], valid[-1] if kind == "last" else valid.mean(dim=0))


@settings(max_examples=50)
@given(lengths=lengths_of_examples, kind=kinds, seed=seeds)
def test_the_transpose_of_read_out(lengths: list[list[int]], kind: str, seed: int) -> None:
    packing = pack(torch.tensor(lengths), 5)
    read_out = ReadOut(kind, packing)
    outputs = normal(seed, *packing.source.shape, 3)
    by_read = normal(seed + 1, *packing.last.shape, 3)
    copy = by_read.clone()
    torch.testing.assert_close(
        (read_out(outputs) * by_read).sum(), (outputs * read_out.transpose(by_read)).sum(), rtol=1e-12, atol=1e-12
    )
    assert torch.equal(by_read, copy)


@settings(max_examples=50)
@given(tasks=st.integers(1, 3), packed=st.integers(1, 9), vocabulary=st.integers(1, 12), seed=seeds)
def test_looking_up_and_its_transpose(tasks: int, packed: int, vocabulary: int, seed: int) -> None:
    tokens = torch.randint(0, vocabulary, (tasks, packed), generator=torch.Generator().manual_seed(seed))
    look_up, table = LookUp(tokens, vocabulary), normal(seed, tasks, vocabulary, 3)
    rows = look_up.rows(table)
    assert all(torch.equal(rows[t, i], table[t, int(tokens[t, i])]) for t in range(tasks) for i in range(packed))
    by_rows = normal(seed + 1, tasks, packed, 3)
    torch.testing.assert_close((rows * by_rows).sum(), (table * look_up.sums(by_rows)).sum(), rtol=1e-12, atol=1e-12)
    assert look_up.late == (vocabulary <= packed)
