from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from hpo.meta.packing import pack


@st.composite
def padded_lengths(draw: st.DrawFn) -> tuple[torch.Tensor, int]:
    tasks, examples = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    lengths = draw(st.lists(st.integers(1, 7), min_size=tasks * examples, max_size=tasks * examples))
    return torch.tensor(lengths).view(tasks, examples), max(lengths) + draw(st.integers(0, 2))


@given(padded_lengths())
def test_every_valid_step_stands_in_one_row_after_its_predecessor(case: tuple[torch.Tensor, int]) -> None:
    lengths, time = case
    packing = pack(lengths, time)
    starts = torch.tensor((0, *packing.sizes)).cumsum(0).tolist()
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
    sizes = pack(lengths, time).sizes
    assert sizes == tuple(int((lengths > step).sum(dim=1).max()) for step in range(int(lengths.max())))


def test_equal_lengths_stay_in_order() -> None:
    packing = pack(torch.full((2, 3), 4), 4)
    assert packing.sizes == (3, 3, 3, 3)
    assert packing.source[1].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert packing.last.tolist() == [[9, 10, 11]] * 2
