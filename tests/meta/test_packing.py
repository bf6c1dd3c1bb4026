from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpo.meta.packing import pack


@st.composite
def padded_lengths(draw: st.DrawFn) -> tuple[torch.Tensor, int]:
    tasks, examples = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    lengths = draw(st.lists(st.integers(1, 7), min_size=tasks * examples, max_size=tasks * examples))
    return torch.tensor(lengths).view(tasks, examples), max(lengths) + draw(st.integers(0, 2))


@given(padded_lengths(), st.booleans())
def test_every_valid_step_stands_in_one_row_after_its_predecessor(case: tuple[torch.Tensor, int], dense: bool) -> None:
    lengths, time = case
    packing = pack(lengths, time, dense=dense)
    starts = torch.tensor((0, *packing.steps.sizes)).cumsum(0).tolist()
    for task, row_of_steps in enumerate(packing.source.tolist()):
        for example, length in enumerate(lengths[task].tolist()):
            rows = [row_of_steps.index(example * time + step) for step in range(length)]
            ranks = {row - starts[step] for step, row in enumerate(rows)}
            assert len(ranks) == 1, "an example keeps its place among the running ones"
            assert rows[-1] == packing.last[task, example]
        assert len(set(row_of_steps)) == len(row_of_steps)


@given(padded_lengths())
def test_no_step_holds_more_examples_than_some_task_needs(case: tuple[torch.Tensor, int]) -> None:
    lengths, time = case
    sizes = pack(lengths, time).steps.sizes
    assert sizes == tuple(int((lengths > step).sum(dim=1).max()) for step in range(int(lengths.max())))


@given(padded_lengths(), st.booleans())
def test_shares_are_those_of_a_mean_over_valid_steps(case: tuple[torch.Tensor, int], dense: bool) -> None:
    lengths, time = case
    packing = pack(lengths, time, dense=dense)
    valid = packing.source % time < lengths.gather(1, packing.example)
    assert torch.equal(packing.share, torch.where(valid, 1.0 / lengths.gather(1, packing.example).double(), 0.0))
    assert torch.equal(packing.example, packing.source // time)


@given(padded_lengths())
def test_the_dense_layout_holds_all_examples_in_order_at_every_step(case: tuple[torch.Tensor, int]) -> None:
    lengths, time = case
    (tasks, examples), packing = lengths.shape, pack(lengths, time, dense=True)
    assert packing.steps.sizes == (examples,) * time
    assert torch.equal(packing.example, torch.arange(examples).repeat(tasks, time))
    assert torch.equal(packing.source % time, torch.arange(time).repeat_interleave(examples).repeat(tasks, 1))


def test_other_devices_than_the_cpu_have_the_dense_layout() -> None:
    assert pack(torch.ones(2, 3, dtype=torch.int64, device="meta"), 4).steps.sizes == (3,) * 4


@pytest.mark.parametrize("dense", [True, False])
def test_equal_lengths_stay_in_order(dense: bool) -> None:
    packing = pack(torch.full((2, 3), 4), 4, dense=dense)
    assert packing.steps.sizes == (3, 3, 3, 3)
    assert packing.source[1].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert packing.last.tolist() == [[9, 10, 11]] * 2
