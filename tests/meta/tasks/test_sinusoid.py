"""The sine family against its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpo.config.tasks import SinusoidConfig
from hpo.meta.tasks import Episode, Split, check, task_family

configs = st.builds(
    SinusoidConfig,
    kind=st.just("sinusoid"),
    shots=st.integers(1, 20),
    queries=st.integers(1, 20),
    window=st.integers(2, 30),
    horizon=st.integers(1, 50),
    spacing=st.floats(0.05, 1.0),
)


def basis(episode: Episode, config: SinusoidConfig) -> NDArray[np.float64]:
    """sin and cos of the position asked for (tasks, examples, 2), from two samples of the window alone."""
    first, second = episode.inputs.double().numpy()[..., :2, 0].transpose(2, 0, 1)
    step = config.spacing
    start = np.arctan2(first, (second - first * np.cos(step)) / np.sin(step))
    asked = start + step * (config.window - 1 + config.horizon)
    return np.stack([np.sin(asked), np.cos(asked)], axis=-1)


@settings(max_examples=40, deadline=None)
@given(configs, st.sampled_from(list(Split)), st.integers(1, 9), st.integers(0, 2**32))
def test_shapes(config: SinusoidConfig, split: Split, tasks: int, seed: int) -> None:
    family = task_family(config)
    batch = check(family.sample(split, tasks, np.random.default_rng(seed)), family, tasks=tasks)
    assert batch.support.inputs.shape == (tasks, config.shots, config.window, 1)
    assert batch.query.targets.shape == (tasks, config.queries, 1)
    assert bool((batch.query.lengths == config.window).all())


@settings(max_examples=40, deadline=None)
@given(configs, st.integers(0, 2**32))
def test_targets_are_one_wave_of_the_paper_for_each_task(config: SinusoidConfig, seed: int) -> None:
    """Solves A and phi from all examples of a task, whose positions it reads off the windows."""
    batch = task_family(config).sample(Split.TRAIN, 5, np.random.default_rng(seed))
    inputs = np.concatenate([basis(episode, config) for episode in (batch.support, batch.query)], axis=1)
    targets = torch.cat([batch.support.targets, batch.query.targets], dim=1).double().numpy()[..., 0]
    for x, y in zip(inputs, targets, strict=True):
        (sine, cosine), *_ = np.linalg.lstsq(x, y, rcond=None)  # A sin(x - phi) = A cos(phi) sin x - A sin(phi) cos x
        np.testing.assert_allclose(x @ [sine, cosine], y, atol=2e-4)
        if len(y) > 5:  # few positions may lie too close together to tell A from phi
            assert 0.1 - 1e-3 <= np.hypot(sine, cosine) <= 5.0 + 1e-3
            assert -1e-2 <= np.arctan2(-cosine, sine) <= np.pi + 1e-2 or np.hypot(sine, cosine) < 0.2


def test_windows_are_of_the_unit_wave_and_start_in_the_papers_range() -> None:
    config = SinusoidConfig(kind="sinusoid", window=50, spacing=0.25)
    inputs = task_family(config).sample(Split.TRAIN, 200, np.random.default_rng(0)).query.inputs[..., 0].double()
    assert inputs.abs().max() <= 1.0
    after = 2 * np.cos(0.25) * inputs[..., 1:-1] - inputs[..., :-2]  # sin(x + d) = 2 cos(d) sin(x) - sin(x - d)
    torch.testing.assert_close(inputs[..., 2:], after, atol=1e-6, rtol=0)


def test_nothing_is_known_of_a_task_without_its_support_set() -> None:
    """The best linear map from all windows to targets leaves most of the variance; one per task leaves none."""
    config = SinusoidConfig(kind="sinusoid", queries=20)
    batch = task_family(config).sample(Split.TRAIN, 500, np.random.default_rng(0))
    x, y = basis(batch.query, config), batch.query.targets.double().numpy()
    shared = np.linalg.lstsq(x.reshape(-1, 2), y.reshape(-1, 1), rcond=None)[0]
    own = np.linalg.pinv(x) @ y
    assert np.var(y - x @ shared) > 0.4 * np.var(y)
    assert np.var(y - x @ own) < 1e-8


def test_amplitudes_and_phases_fill_their_ranges() -> None:
    config = SinusoidConfig(kind="sinusoid", queries=50)
    batch = task_family(config).sample(Split.TEST, 1000, np.random.default_rng(1))
    sine, cosine = (np.linalg.pinv(basis(batch.query, config)) @ batch.query.targets.double().numpy())[..., 0].T
    amplitude, phase = np.hypot(sine, cosine), np.arctan2(-cosine, sine)
    np.testing.assert_allclose(np.quantile(amplitude, [0, 0.25, 0.5, 0.75, 1]), np.linspace(0.1, 5.0, 5), atol=0.2)
    np.testing.assert_allclose(np.quantile(phase, [0.25, 0.5, 0.75]), np.pi * np.array([0.25, 0.5, 0.75]), atol=0.15)


def test_the_same_generator_gives_the_same_batch_and_each_split_its_own() -> None:
    family = task_family(SinusoidConfig(kind="sinusoid"))
    draw = {split: [family.sample(split, 4, np.random.default_rng([3, 1])) for _ in range(2)] for split in Split}
    for first, second in draw.values():
        assert torch.equal(first.query.targets, second.query.targets)
        assert torch.equal(first.support.inputs, second.support.inputs)
    assert len({float(first.query.targets[0, 0, 0]) for first, _ in draw.values()}) == len(Split)


def test_a_generator_goes_on_to_other_tasks() -> None:
    family, rng = task_family(SinusoidConfig(kind="sinusoid")), np.random.default_rng(0)
    first, second = (family.sample(Split.TRAIN, 4, rng) for _ in range(2))
    assert not torch.equal(first.query.targets, second.query.targets)


@pytest.mark.parametrize("tasks", [1, 16])
def test_support_and_query_are_different_windows(tasks: int) -> None:
    batch = task_family(SinusoidConfig(kind="sinusoid")).sample(Split.TRAIN, tasks, np.random.default_rng(0))
    support, query = (set(episode.inputs[..., 0, 0].flatten().tolist()) for episode in (batch.support, batch.query))
    assert not support & query
