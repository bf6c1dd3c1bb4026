from __future__ import annotations

import numpy as np
import pytest
import torch

from hpo.config.training import TrainingConfig
from hpo.meta.cells import Params
from hpo.meta.outer import Outer

RNG = np.random.default_rng(0)
GRADIENTS = [{"a": RNG.normal(size=(2, 3)), "b": RNG.normal(size=4)} for _ in range(20)]


def fresh(clip_norm: float = 2.0) -> Outer:
    meta = {"a": torch.ones(2, 3, dtype=torch.float64), "b": torch.zeros(4, dtype=torch.float64)}
    return Outer(meta, TrainingConfig(outer_lr=0.1, clip_norm=clip_norm))


def tensors(gradient: dict[str, np.ndarray]) -> Params:
    return {name: torch.from_numpy(array.copy()) for name, array in gradient.items()}


@pytest.mark.parametrize("clip_norm", [0.5, 2.0, 1e6])
def test_is_adam_of_the_paper_on_the_gradient_clipped_to_a_global_norm(clip_norm: float) -> None:
    outer = fresh(clip_norm)
    theta = np.concatenate([np.ones(6), np.zeros(4)])
    mean, square = np.zeros(10), np.zeros(10)
    for step, gradient in enumerate(GRADIENTS, start=1):
        g = np.concatenate([gradient["a"].ravel(), gradient["b"]])
        norm = np.linalg.norm(g)
        assert outer.step(tensors(gradient)) == pytest.approx(norm, rel=1e-12)
        g = g * min(1.0, clip_norm / norm)
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        theta = theta - 0.1 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        found = torch.cat([tensor.flatten() for tensor in outer.meta.values()]).numpy()
        np.testing.assert_allclose(found, theta, rtol=0, atol=1e-12)


@pytest.mark.parametrize("clip_norm", [0.5, 2.0, 1e6])
def test_is_torchs_adam_with_torchs_clipping(clip_norm: float) -> None:
    outer = fresh(clip_norm)
    theirs = [tensor.clone().requires_grad_() for tensor in outer.meta.values()]
    adam = torch.optim.Adam(theirs, lr=0.1)
    for gradient in GRADIENTS:
        for tensor, array in zip(theirs, gradient.values(), strict=True):
            tensor.grad = torch.from_numpy(array.copy())
        expected = torch.nn.utils.clip_grad_norm_(theirs, clip_norm)
        adam.step()
        assert outer.step(tensors(gradient)) == pytest.approx(float(expected), rel=1e-12)
        for tensor, own in zip(theirs, outer.meta.values(), strict=True):
            torch.testing.assert_close(own, tensor.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_restored_it_goes_on_as_if_nothing_had_happened(steps: int) -> None:
    straight, first, second = fresh(), fresh(), fresh()
    for gradient in GRADIENTS:
        straight.step(tensors(gradient))
    for gradient in GRADIENTS[:steps]:
        first.step(tensors(gradient))
    second.restore({name: tensor.clone() for name, tensor in first.tensors().items()}, steps)
    for gradient in GRADIENTS[steps:]:
        second.step(tensors(gradient))
    assert all(torch.equal(second.tensors()[name], tensor) for name, tensor in straight.tensors().items())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_changes_nothing(bad: float) -> None:
    outer = fresh()
    gradient = tensors(GRADIENTS[0])
    gradient["b"][1] = bad
    assert not np.isfinite(outer.step(gradient))
    assert torch.equal(outer.meta["a"], torch.ones(2, 3, dtype=torch.float64))


def test_tensors_of_another_network_are_refused() -> None:
    outer = fresh()
    other = outer.tensors() | {"meta.a": torch.zeros(3, 3)}
    with pytest.raises(ValueError, match="not those of this network"):
        outer.restore(other, 1)
    assert torch.equal(outer.meta["a"], torch.ones(2, 3, dtype=torch.float64))
