from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch_reference import Reference

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.network import Network
from hpo.meta.tasks import Episode, Split, task_family

Make = Callable[..., TrialConfig]


def set_up(config: TrialConfig, tasks: int = 3) -> tuple[Network, list[Params], Episode]:
    """A network, parameters of each task's own, and a query episode in float64."""
    family = task_family(config.tasks)
    network = Network.of(config.model, family)
    generator = torch.Generator().manual_seed(0)
    params = [network.init(generator, torch.float64) for _ in range(tasks)]
    return network, params, family.sample(Split.TRAIN, tasks, np.random.default_rng(0)).query.to(dtype=torch.float64)


def predict(network: Network, params: list[Params], episode: Episode) -> torch.Tensor:
    stacked = {name: torch.stack([own[name] for own in params]) for name in params[0]}
    return network.forward(stacked, network.pack(episode))


@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize(("layers", "readout"), [(1, "last"), (1, "mean"), (2, "last"), (2, "mean")])
def test_equals_torch_nn_on_single_unpadded_sequences(
    trial_config: Make, kind: str, cell: str, layers: int, readout: str
) -> None:
    config = trial_config(
        kind, model__cell=cell, model__layers=layers, model__nonlinearity="relu", model__readout=readout
    )
    network, params, episode = set_up(config)
    predictions = predict(network, params, episode)
    losses = network.loss(predictions, episode.targets)
    for task, own in enumerate(params):
        model = Reference(network, own)
        expected = model(episode.inputs[task], episode.lengths[task])
        torch.testing.assert_close(predictions[task], expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(losses[task], model.loss(episode, task), rtol=0, atol=1e-12)


@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
def test_padding_changes_nothing(trial_config: Make, kind: str, readout: str) -> None:
    network, params, episode = set_up(trial_config(kind, model__readout=readout))
    padding = torch.ones_like(episode.inputs[:, :, :3])
    longer = dataclasses.replace(episode, inputs=torch.cat([episode.inputs, padding], dim=2))
    assert torch.equal(predict(network, params, longer), predict(network, params, episode))


def test_a_vocabulary_larger_than_the_episode_gives_the_same(trial_config: Make) -> None:
    network, params, episode = set_up(trial_config())
    rows = 10_000
    larger = [own | {"embedding": torch.cat([own["embedding"], torch.ones(rows, 3)])} for own in params]
    assert network.pack(episode).rows.shape[1] < rows
    torch.testing.assert_close(predict(network, larger, episode), predict(network, params, episode))


def test_accuracy_is_the_share_of_largest_logits_at_the_target(trial_config: Make) -> None:
    network, _, _ = set_up(trial_config())
    logits = torch.tensor([[[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [0.0, 9.0]]])
    metrics = network.metrics(logits, torch.tensor([[0, 1, 1, 1]]))
    assert metrics.accuracy is not None
    assert metrics.accuracy.tolist() == [0.75]


def test_regression_has_no_accuracy_and_averages_over_values(trial_config: Make) -> None:
    network, _, _ = set_up(trial_config("toy_tasks:Lines"))
    metrics = network.metrics(torch.tensor([[[1.0, 2.0]], [[0.0, 0.0]]]), torch.tensor([[[0.0, 0.0]], [[0.0, 4.0]]]))
    assert metrics.accuracy is None
    assert metrics.loss.tolist() == [2.5, 8.0]


def test_initial_parameters_follow_from_the_generator(trial_config: Make) -> None:
    network, (first, second, _), _ = set_up(trial_config(model__layers=2))
    again = network.init(torch.Generator().manual_seed(0), torch.float64)
    assert list(first) == ["embedding", *[f"cell{i}.{n}" for i in (0, 1) for n in ("w_ih", "w_hh", "b_ih", "b_hh")],
                           "head.weight", "head.bias"]  # fmt: skip
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], second[name]) for name in first)
