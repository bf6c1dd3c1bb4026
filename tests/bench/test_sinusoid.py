"""The bench of the Meta-SGD paper's sinusoids, as small as it can be."""

from __future__ import annotations

import json

import pytest
import torch

from tests.bench import sinusoid
from tests.bench.sinusoid import PUBLISHED, Mlp, draw, learner_of, meta_gradient, meta_train


@pytest.mark.parametrize("name", PUBLISHED)
def test_seeds_are_trained_side_by_side_as_if_alone(name: str) -> None:
    _, together = meta_train(name, [0, 1], 5)
    _, alone = meta_train(name, [1], 5)
    for key in alone:
        torch.testing.assert_close(together[key][1:], alone[key], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_meta_gradient_is_that_of_autograd(name: str) -> None:
    mlp, learner = Mlp(), learner_of(name, Mlp(), 0)
    meta = {key: 10 * tensor for key, tensor in learner.init(torch.Generator().manual_seed(0)).items()}
    one_seed = {key: tensor.unsqueeze(0) for key, tensor in meta.items()}
    found = meta_gradient(learner, mlp, one_seed, [torch.Generator().manual_seed(1)])
    support, query = draw(mlp, torch.Generator().manual_seed(1))
    leaves = {key: tensor.clone().requires_grad_() for key, tensor in meta.items()}
    theta = {key: leaves[key].expand(support.tasks, *leaves[key].shape) for key in mlp.names}
    loss = mlp.loss(mlp.forward(theta, support.sequences), support.targets).sum()
    gradient = dict(zip(theta, torch.autograd.grad(loss, list(theta.values()), create_graph=True), strict=True))
    phi = {key: theta[key] - leaves.get(f"rate.{key}", 0.01) * gradient[key] for key in theta}
    outer_loss = mlp.loss(mlp.forward(phi, query.sequences), query.targets).mean()
    for (key, leaf), expected in zip(
        leaves.items(), torch.autograd.grad(outer_loss, list(leaves.values())), strict=True
    ):
        assert leaf.shape == expected.shape
        torch.testing.assert_close(found[key][0], expected, rtol=1e-4, atol=1e-6)


def test_prints_each_learner_beside_what_was_published(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sinusoid, "TEST_WAVES", 200)
    sinusoid.main(["--seeds", "2", "--meta-iterations", "3"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["learner"], *each["published"]) for each in found] == [("MAML", 1.13, 0.18), ("Meta-SGD", 0.9, 0.16)]
    for each in found:
        assert len(each["mse"]) == len(each["interval"]) == len(each["within"]) == 2
        assert not any(each["within"])  # untrained
