from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpo.meta.learners.order import in_own_order
from hpo.meta.tasks import Episode


def episode(rng: np.random.Generator, tasks: int, examples: int, *, real: bool = True) -> Episode:
    """Features and values, or tokens and classes; inputs are 0 after their end."""
    lengths = rng.integers(1, 4, (tasks, examples))
    running = np.arange(3) < lengths[..., None]
    if not real:
        inputs, targets = rng.integers(1, 3, (tasks, examples, 3)), rng.integers(0, 3, (tasks, examples))
        return Episode.of(inputs * running, targets, lengths)
    inputs, targets = rng.normal(size=(tasks, examples, 3, 2)), rng.normal(size=(tasks, examples, 2))
    return Episode.of(inputs * running[..., None], targets, lengths)


def same(a: Episode, b: Episode) -> bool:
    parts = zip((a.inputs, a.targets, a.lengths), (b.inputs, b.targets, b.lengths), strict=True)
    return all(torch.equal(own, other) for own, other in parts)


@given(seed=st.integers(0, 10**6), examples=st.integers(1, 8), real=st.booleans())
def test_it_follows_from_the_examples_alone(seed: int, examples: int, real: bool) -> None:
    rng = np.random.default_rng(seed)
    listed = episode(rng, 3, examples, real=real)
    ordered = in_own_order(listed)
    shuffle = torch.from_numpy(rng.permutation(examples))
    parts = (listed.inputs, listed.targets, listed.lengths)
    assert same(in_own_order(Episode(*(part[:, shuffle] for part in parts))), ordered)
    alone = in_own_order(Episode(*(part[1:2] for part in parts)))
    assert torch.equal(alone.inputs, ordered.inputs[1:2])
    wider = torch.cat([listed.inputs, torch.full_like(listed.inputs, 7)], dim=2)
    assert torch.equal(in_own_order(Episode(wider, listed.targets, listed.lengths)).targets, ordered.targets)
    assert sorted(ordered.lengths.flatten().tolist()) == sorted(listed.lengths.flatten().tolist())


def test_every_place_is_as_likely_for_every_example() -> None:
    tasks, examples = 20_000, 4
    listed = episode(np.random.default_rng(0), tasks, examples)
    names = torch.arange(examples).expand(tasks, examples)
    marked = in_own_order(Episode(listed.inputs, names, listed.lengths)).targets
    shares = torch.stack([(marked == example).float().mean(dim=0) for example in range(examples)])
    assert (shares - 1 / examples).abs().max() < 5 * (0.25 * 0.75 / tasks) ** 0.5
