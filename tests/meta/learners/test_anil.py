from __future__ import annotations

import pytest
import torch
from by_autograd import Make, expected, set_up

from hpo.config import TrialConfig
from hpo.meta.learners import adapt
from hpo.meta.learners.inner_loop import InnerLoop


def anil(trial_config: Make, kind: str = "toy_tasks:Prevailing", **options: object) -> TrialConfig:
    learner = {"kind": "anil", "inner_steps": 3, "inner_lr": 0.2, **options}
    raw = trial_config(kind, model__cell="gru", model__layers=2).to_dict()
    return TrialConfig.from_dict(raw | {"learner": learner})


@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
@pytest.mark.parametrize("order", ["first", "second"])
def test_it_is_maml_with_the_body_frozen(trial_config: Make, kind: str, order: str) -> None:
    learner, meta, batch = set_up(anil(trial_config, kind, order=order))
    gradient, _ = learner.meta_gradient(meta, batch)
    head = dict.fromkeys(["head.weight", "head.bias"], 0.2)
    graph = expected(learner, meta, batch, InnerLoop([head] * 3, order == "second", (0.0, 0.0, 0.0, 1.0)))
    for name in meta:
        torch.testing.assert_close(gradient[name], graph.theta[name] / batch.tasks, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(adapt(learner, meta, batch.support, 3)(batch.query), graph.predictions)


def test_the_body_learns_from_the_query_set_and_second_order_from_the_support_set_too(trial_config: Make) -> None:
    (learner, meta, batch), (first, _, _) = (set_up(anil(trial_config, order=order)) for order in ("second", "first"))
    second_order, first_order = (each.meta_gradient(meta, batch)[0] for each in (learner, first))
    for name in (name for name in meta if name.startswith("cell")):
        assert first_order[name].norm() > 0
        assert (second_order[name] - first_order[name]).norm() > 1e-3 * first_order[name].norm()
