from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from episodic_cases import cosine, set_up

from hpo.config import TrialConfig
from hpo.meta.encoder import encode
from hpo.meta.tasks import Episode

Make = Callable[..., TrialConfig]


def config(trial_config: Make, distance: str) -> TrialConfig:
    return TrialConfig.from_dict(trial_config().to_dict() | {"learner": {"kind": "prototypical", "distance": distance}})


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_logits_are_those_of_the_equations(trial_config: Make, distance: str) -> None:
    learner, meta, batch = set_up(config(trial_config, distance))
    support, query = (encode(learner.network, meta, part).numpy() for part in (batch.support, batch.query))
    logits = learner.condition(meta, batch.support)(batch.query)
    for task, classes in enumerate(batch.support.targets.numpy()):
        for k in range(2):
            prototype = support[task][classes == k].mean(axis=0)
            for i, embedding in enumerate(query[task]):
                if distance == "euclidean":
                    expected = -float(((embedding - prototype) ** 2).sum())
                else:
                    expected = 10.0 * cosine(embedding, prototype)
                assert float(logits[task, i, k]) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_class_without_examples_is_never_predicted(trial_config: Make) -> None:
    learner, meta, batch = set_up(config(trial_config, "euclidean"))
    support = batch.support
    others = Episode(support.inputs, torch.zeros_like(support.targets), support.lengths)
    probabilities = learner.condition(meta, others)(batch.query).softmax(dim=2)
    assert np.array_equal(probabilities[..., 0].numpy(), np.ones(probabilities.shape[:2]))
