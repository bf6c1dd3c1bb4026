"""Choices without repetition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.errors import InputError
from hpo.meta.tasks import Split
from hpo.meta.tasks.draw import ClassGroups, draw_distinct, large_enough


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=8), st.integers(1, 9), st.integers(0, 2**32))
def test_none_is_drawn_twice_and_none_is_beyond_its_size(more: list[int], draws: int, seed: int) -> None:
    sizes = draws + np.array(more)
    drawn = draw_distinct(sizes, draws, np.random.default_rng(seed))
    assert drawn.shape == (len(sizes), draws)
    assert (drawn >= 0).all()
    assert (drawn < sizes[:, None]).all()
    assert all(len(set(row)) == draws for row in drawn.tolist())


@pytest.mark.parametrize("others", [[], [40]])  # the first are shuffled; beside a large size they are drawn again
def test_every_ordered_choice_is_as_likely(others: list[int]) -> None:
    sizes = np.array([[4] * 1200 + others])
    drawn = draw_distinct(sizes, 3, np.random.default_rng(0))[0, :1200]
    counts = np.unique(drawn @ [16, 4, 1], return_counts=True)[1]
    assert len(counts) == 24
    assert abs(counts - 50).max() < 5 * np.sqrt(50)


def test_a_group_is_drawn_whatever_its_size_and_so_is_each_of_its_classes() -> None:
    groups = ClassGroups.of([[7, 8], [1, 2, 3, 4]])
    drawn = groups.draw(2000, 2, np.random.default_rng(0))
    of_first = (drawn >= 7).all(axis=1)
    assert ((drawn >= 7).any(axis=1) == of_first).all()
    assert 900 < of_first.sum() < 1100
    counts = np.bincount(drawn[~of_first].ravel())[1:]
    assert abs(counts - counts.mean()).max() < 5 * np.sqrt(counts.mean())


def test_a_split_without_a_group_that_is_large_enough() -> None:
    groups = {Split.TRAIN: [[1, 2, 3], [4]], Split.VALIDATION: [[5, 6, 7]], Split.TEST: [[8, 9], [10]]}
    found = large_enough(groups, 2)
    assert found[Split.TRAIN].sizes.tolist() == [3]
    with pytest.raises(InputError, match=r"tasks\.ways: found 3, expected at most 2: the test split has no more"):
        large_enough(groups, 3)
