from __future__ import annotations

from typing import Any

import pytest
import torch

from hpo.meta.learners.order import in_own_order
from hpo.meta.tasks import Episode
from tests.bench.instances import SHOWN, accuracies, instances, table


def test_instances_are_counted_by_class() -> None:
    targets = torch.tensor([[0, 1, 0, 2, 0, 1]])
    assert instances(targets).tolist() == [[1, 1, 2, 1, 3, 2]]


class Once:
    """Stands for a learner that knows a class from its second example on."""

    def presented(self, meta: Any, episode: Episode) -> torch.Tensor:
        known = instances(episode.targets) > 1
        return torch.nn.functional.one_hot(torch.where(known, episode.targets, (episode.targets + 1) % 5), 5)


def test_accuracy_is_that_at_the_instance() -> None:
    targets = torch.arange(5).repeat(3, 10)
    episode = Episode(torch.randn(3, 50, 1, 2), targets, torch.ones_like(targets))
    assert not torch.equal(in_own_order(episode).targets, targets)
    found = accuracies(Once(), {}, episode.chunk(2))
    assert found == {instance: (float(instance > 1), 0.0) for instance in SHOWN}
    rows = table({"MANN": {"accuracy": found}}).splitlines()
    assert rows[2] == "| MANN | 0.0 ± 0.0 |" + " 100.0 ± 0.0 |" * (len(SHOWN) - 1)
    assert rows[3].count("|") == rows[2].count("|") == len(SHOWN) + 2


@pytest.mark.parametrize("order", [[0, 0, 1, 1], [0, 1, 0, 1]])
def test_the_count_does_not_depend_on_what_is_between(order: list[int]) -> None:
    assert sorted(instances(torch.tensor([order]))[0].tolist()) == [1, 1, 2, 2]
