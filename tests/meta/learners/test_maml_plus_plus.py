from __future__ import annotations

import pytest
import torch
from by_autograd import Make, expected, set_up

from hpo.config.learner import MamlConfig
from hpo.meta.cells import Params
from hpo.meta.learners import adapt, learner_of
from hpo.meta.learners.inner_loop import InnerLoop
from hpo.meta.learners.maml import Maml
from hpo.meta.loop import train
from hpo.meta.tasks import task_family

STEPS = 3
LAST = (0.0, 0.0, 0.0, 1.0)


def rates_of(learner: Maml, meta: Params) -> list[Params]:
    """One tensor a layer and step, by parameter."""
    layers = {name.partition(".")[0] for name in learner.adapted}
    by_step = [{layer: meta[f"rate.{layer}"][step] for layer in layers} for step in range(STEPS)]
    return [{name: own[name.partition(".")[0]] for name in learner.adapted} for own in by_step]


@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("adapt_embedding", [True, False])
def test_learned_rates_have_the_gradients_of_autograd(
    trial_config: Make, kind: str, order: str, adapt_embedding: bool
) -> None:
    options = {"rates": "learned", "inner_steps": STEPS, "order": order, "adapt_embedding": adapt_embedding}
    changes = {f"learner__{name}": value for name, value in options.items()}
    learner, meta, batch = set_up(trial_config(kind, model__cell="gru", model__layers=2, **changes))
    gradient, _ = learner.meta_gradient(meta, batch)
    rates = rates_of(learner, meta)
    graph = expected(learner, meta, batch, InnerLoop(rates, order == "second", LAST))
    for name in learner.network.names:
        torch.testing.assert_close(gradient[name], graph.theta[name] / batch.tasks, rtol=1e-9, atol=1e-12)
    for name in learner.adapted:  # the oracle sums over the parameters that share a rate
        own = torch.stack([step[name] for step in graph.rates]) / batch.tasks
        torch.testing.assert_close(gradient[f"rate.{name.partition('.')[0]}"], own, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(adapt(learner, meta, batch.support, STEPS)(batch.query), graph.predictions)


@pytest.mark.parametrize(
    ("done", "weights"),
    [(0, (0.0, 1 / 3, 1 / 3, 1 / 3)), (5, (0.0, 1 / 6, 1 / 6, 4 / 6)), (10, LAST), (11, LAST)],
)
def test_the_multi_step_loss_goes_over_to_the_last_step(
    trial_config: Make, done: int, weights: tuple[float, ...]
) -> None:
    learner, meta, batch = set_up(trial_config(learner__inner_steps=STEPS, learner__multi_step_iterations=10))
    gradient, _ = learner.at(done).meta_gradient(meta, batch)
    fixed = dict.fromkeys(learner.network.names, 0.3)
    graph = expected(learner, meta, batch, InnerLoop([fixed] * STEPS, True, weights))
    for name in meta:
        torch.testing.assert_close(gradient[name], graph.theta[name] / batch.tasks, rtol=1e-9, atol=1e-12)


def test_with_equal_rates_and_the_last_loss_alone_it_is_maml(trial_config: Make) -> None:
    plus, _, batch = set_up(trial_config(learner__rates="learned", learner__multi_step_iterations=10))
    plain, _, _ = set_up(trial_config())
    meta, theta = (each.init(torch.Generator().manual_seed(0), torch.float64) for each in (plus, plain))
    gradient, metrics = plus.at(10).meta_gradient(meta, batch)
    plain_gradient, plain_metrics = plain.meta_gradient(theta, batch)
    assert torch.allclose(metrics.loss, plain_metrics.loss, rtol=1e-12)
    for name in theta:
        torch.testing.assert_close(gradient[name], plain_gradient[name], rtol=1e-10, atol=1e-13)


def test_training_tells_it_the_meta_iteration(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    compute = Maml._meta_gradient

    def watched(self: Maml, *given: object) -> object:
        seen.append(self.early)
        return compute(self, *given)

    monkeypatch.setattr(Maml, "_meta_gradient", watched)
    train(trial_config(learner__multi_step_iterations=4), "cpu", None, Silent())
    assert seen == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


class Silent:
    def report(self, *_: object) -> None: ...

    def checkpointed(self, *_: object) -> None: ...

    def interruption(self) -> None: ...


def test_no_graph_is_captured_while_the_weights_change(trial_config: Make) -> None:
    config = trial_config(learner__multi_step_iterations=4)
    learner = learner_of(config, task_family(config.tasks))
    assert [learner.at(done)._is_one_program for done in (0, 3, 4)] == [False, False, True]
    assert learner.at(4) is learner  # with the graphs that it has


def test_only_plain_maml_is_fused() -> None:
    assert MamlConfig(kind="maml", order="first", adapt_embedding=False).is_fusible
    assert not MamlConfig(kind="maml", rates="learned").is_fusible
    assert not MamlConfig(kind="maml", multi_step_iterations=1).is_fusible
