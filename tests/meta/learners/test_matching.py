from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from episodic_cases import Reals, cosine, lstm, set_up, softmax

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.encoder import encode
from hpo.meta.learners.matching import log_probabilities
from hpo.meta.learners.order import in_own_order

Make = Callable[..., TrialConfig]
CONTEXT_STEPS = 3


def config(trial_config: Make, full_context: bool) -> TrialConfig:
    learner = {"kind": "matching", "full_context": full_context, "context_steps": CONTEXT_STEPS}
    return TrialConfig.from_dict(trial_config().to_dict() | {"learner": learner})


def one_way(meta: Params, name: str, embeddings: Reals) -> Reals:
    """The LSTM's outputs over embeddings (S, H)."""
    h, c = np.zeros_like(embeddings[0]), np.zeros_like(embeddings[0])
    outputs = []
    for embedding in embeddings:
        h, c = lstm(meta, name, embedding, h, c)
        outputs.append(h)
    return np.array(outputs)


def of_support(meta: Params, embeddings: Reals) -> Reals:
    backward = one_way(meta, "backward", embeddings[::-1])[::-1]
    return one_way(meta, "forward", embeddings) + backward + embeddings


def of_query(meta: Params, embedding: Reals, examples: Reals) -> Reals:
    h, c = np.zeros_like(embedding), np.zeros_like(embedding)
    for _ in range(CONTEXT_STEPS):
        read = softmax(examples @ h) @ examples
        output, c = lstm(meta, "attention", np.concatenate([embedding, read]), h, c)
        h = output + embedding
    return h


@pytest.mark.parametrize("full_context", [False, True])
def test_probabilities_are_those_of_the_equations(trial_config: Make, full_context: bool) -> None:
    learner, meta, batch = set_up(config(trial_config, full_context))
    support = in_own_order(batch.support)
    embeddings, queries = (encode(learner.network, meta, part).numpy() for part in (support, batch.query))
    probabilities = learner.condition(meta, batch.support)(batch.query).exp().numpy()
    for task, classes in enumerate(support.targets.numpy()):
        examples = of_support(meta, embeddings[task]) if full_context else embeddings[task]
        for i, query in enumerate(queries[task]):
            asked = of_query(meta, query, examples) if full_context else query
            attention = softmax(np.array([10.0 * cosine(asked, example) for example in examples]))
            expected = attention @ np.eye(2)[classes]
            np.testing.assert_allclose(probabilities[task, i], expected, rtol=1e-10)


def test_logits_are_finite_where_probabilities_vanish() -> None:
    scores = torch.tensor([[[0.0, 2000.0]]], dtype=torch.float64, requires_grad=True)
    logits = log_probabilities(scores, torch.tensor([[0, 1]]), ways=3)
    assert logits.flatten().tolist() == [-2000.0, 0.0, -float("inf")]
    (gradient,) = torch.autograd.grad(logits[0, 0, 0], scores)
    assert gradient.flatten().tolist() == [1.0, -1.0]
