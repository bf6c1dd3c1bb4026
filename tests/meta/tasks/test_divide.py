"""Which names are held out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.config.tasks import HeldOutConfig
from hpo.errors import InputError
from hpo.meta.tasks import Split
from hpo.meta.tasks.divide import divide


def config(**options: Any) -> HeldOutConfig:
    return HeldOutConfig(kind="any", **options)


shares = st.floats(0.01, 0.4)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.text(max_size=4), min_size=3, max_size=40), shares, shares, st.integers(0, 9), st.randoms())
def test_every_name_is_in_one_split_whatever_the_order(
    names: set[str], validation: float, test: float, seed: int, random: Any
) -> None:
    chosen = config(validation_share=validation, test_share=test, split_seed=seed)
    shuffled = [*names, *names]
    random.shuffle(shuffled)
    parts = divide(shuffled, chosen, "names")
    assert divide(sorted(names), chosen, "names") == parts
    assert sorted(name for of in parts.values() for name in of) == sorted(names)
    sizes = {split: len(of) for split, of in parts.items()}
    assert min(sizes.values()) >= 1
    wanted = {Split.VALIDATION: max(1, round(validation * len(names))), Split.TEST: max(1, round(test * len(names)))}
    if sum(wanted.values()) < len(names):
        assert {split: sizes[split] for split in wanted} == wanted


def test_it_is_the_same_in_every_version() -> None:
    """If this changes, what was held out in older studies is learned from in newer ones."""
    assert divide("abcdefgh", config(), "names") == {
        Split.TRAIN: ["a", "c", "b", "e"],
        Split.VALIDATION: ["g", "d"],
        Split.TEST: ["h", "f"],
    }


def test_another_seed_divides_in_another_way() -> None:
    assert len({tuple(divide("abcdefgh", config(split_seed=seed), "names")[Split.TEST]) for seed in range(20)}) > 5


def test_a_name_more_moves_few_of_the_others() -> None:
    names = [str(i) for i in range(100)]
    before, after = (divide(names[:n], config(), "names") for n in (99, 100))
    assert sum(len(set(before[split]) - set(after[split])) for split in Split) <= 3


def test_there_is_one_for_every_split() -> None:
    with pytest.raises(InputError, match="tasks: found 2 labels, expected at least 3: one for every split"):
        divide(["a", "b", "a"], config(), "labels")
