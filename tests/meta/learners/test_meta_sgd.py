from __future__ import annotations

import pytest
import torch
from by_autograd import Make, expected, set_up

from hpo.config import TrialConfig
from hpo.meta.learners import adapt
from hpo.meta.learners.inner_loop import InnerLoop


def with_learner(trial_config: Make, tasks: str = "toy_tasks:Prevailing", **learner: object) -> TrialConfig:
    options = {"kind": "meta_sgd", "inner_steps": 2, "inner_lr": 0.2, **learner}
    return TrialConfig.from_dict(trial_config(tasks, model__cell="lstm").to_dict() | {"learner": options})


@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
@pytest.mark.parametrize("order", ["first", "second"])
def test_theta_and_its_rates_have_the_gradients_of_autograd(trial_config: Make, kind: str, order: str) -> None:
    learner, meta, batch = set_up(with_learner(trial_config, kind, order=order))
    assert {name for name in meta if name.startswith("rate.")} == {f"rate.{name}" for name in learner.network.names}
    gradient, _ = learner.meta_gradient(meta, batch)
    rates = {name: meta[f"rate.{name}"] for name in learner.network.names}
    graph = expected(learner, meta, batch, InnerLoop([rates] * 2, order == "second", (0.0, 0.0, 1.0)))
    for name in learner.network.names:
        torch.testing.assert_close(gradient[name], graph.theta[name] / batch.tasks, rtol=1e-9, atol=1e-12)
        # the same tensor in both steps: oracle and learner sum over them
        own = graph.rates[0][name] / batch.tasks
        torch.testing.assert_close(gradient[f"rate.{name}"], own, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(adapt(learner, meta, batch.support, 2)(batch.query), graph.predictions)


def test_untrained_it_is_maml(trial_config: Make) -> None:
    learner, _, batch = set_up(with_learner(trial_config))
    maml, _, _ = set_up(with_learner(trial_config, kind="maml"))
    theta, meta = (each.init(torch.Generator().manual_seed(0), torch.float64) for each in (maml, learner))
    gradient, _ = learner.meta_gradient(meta, batch)
    for name, tensor in maml.meta_gradient(theta, batch)[0].items():
        torch.testing.assert_close(gradient[name], tensor, rtol=1e-10, atol=1e-13)
