from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hpo.meta.cells.steps import Steps, continuing

SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=6).map(lambda sizes: tuple(sorted(sizes, reverse=True)))
SHAPES = st.sampled_from([(), (1,), (3,), (2, 3)])
SEEDS = st.integers(0, 2**32)


def drawn(seed: int, steps: Steps, shape: tuple[int, ...], tasks: int = 2) -> tuple[Tensor, Tensor]:
    """Whole numbers, whose sums are exact: all rows, and such as belong to the later ones."""
    numbers, packed = torch.Generator().manual_seed(seed), sum(steps.sizes)
    rows = torch.randint(-9, 10, (tasks, packed, *shape), generator=numbers).double()
    return rows, torch.randint(-9, 10, (tasks, packed - steps.first, *shape), generator=numbers).double()


def predecessors(sizes: tuple[int, ...]) -> list[int]:
    """The row before each later row, one by one."""
    starts = [sum(sizes[:t]) for t in range(len(sizes))]
    return [starts[t - 1] + example for t in range(1, len(sizes)) for example in range(sizes[t])]


@given(sizes=SIZES, shape=SHAPES, seed=SEEDS)
def test_previous_is_the_same_example_one_step_earlier(
    sizes: tuple[int, ...], shape: tuple[int, ...], seed: int
) -> None:
    steps = Steps(sizes)
    rows, _ = drawn(seed, steps, shape)
    assert torch.equal(steps.previous(rows), rows[:, predecessors(sizes)])
    assert torch.equal(steps.later(rows), rows[:, sizes[0] :])


@given(sizes=SIZES, shape=SHAPES, seed=SEEDS)
def test_add_to_previous_is_the_transpose_of_previous(
    sizes: tuple[int, ...], shape: tuple[int, ...], seed: int
) -> None:
    steps = Steps(sizes)
    rows, later = drawn(seed, steps, shape)
    sums = torch.zeros_like(rows)
    steps.add_to_previous(sums, later)
    assert (steps.previous(rows) * later).sum() == (rows * sums).sum()


@given(sizes=SIZES, shape=SHAPES, seed=SEEDS)
def test_add_to_previous_adds_in_place(sizes: tuple[int, ...], shape: tuple[int, ...], seed: int) -> None:
    steps = Steps(sizes)
    rows, later = drawn(seed, steps, shape)
    expected, given_later = rows.clone(), later.clone()
    for place, before in enumerate(predecessors(sizes)):
        expected[:, before] += later[:, place]
    steps.add_to_previous(rows, later)
    assert torch.equal(rows, expected)
    assert torch.equal(later, given_later)


@given(sizes=SIZES, shape=SHAPES, seed=SEEDS)
def test_split_gives_views_of_the_steps(sizes: tuple[int, ...], shape: tuple[int, ...], seed: int) -> None:
    rows, _ = drawn(seed, Steps(sizes), shape)
    parts = Steps(sizes).split(rows)
    assert tuple(part.shape[1] for part in parts) == sizes
    assert torch.equal(torch.cat(parts, dim=1), rows)
    for part in parts:
        part.fill_(100.0)
    assert bool((rows == 100.0).all())


@given(sizes=SIZES, shape=SHAPES, seed=SEEDS)
def test_continuing_rows_are_the_previous_ones_of_a_step(
    sizes: tuple[int, ...], shape: tuple[int, ...], seed: int
) -> None:
    steps = Steps(sizes)
    rows, _ = drawn(seed, steps, shape)
    parts = steps.split(rows)
    continued = [continuing(step, size) for step, size in zip(parts, sizes[1:], strict=False)]
    expected = steps.previous(rows)
    assert torch.equal(torch.cat([rows[:, :0], *continued], dim=1), expected)


def test_equal_says_whether_no_example_ends_early() -> None:
    assert Steps((3,)).equal
    assert Steps((2, 2, 2)).equal
    assert not Steps((3, 3, 2)).equal
