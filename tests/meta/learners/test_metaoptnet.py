from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from episodic_cases import set_up
from sklearn.svm import LinearSVC

from hpo.config import TrialConfig
from hpo.meta.encoder import encode

Make = Callable[..., TrialConfig]


def config(trial_config: Make, shots: int, **options: Any) -> TrialConfig:
    learner = {"kind": "metaoptnet", **options}
    return TrialConfig.from_dict(trial_config(tasks__shots=shots).to_dict() | {"learner": learner})


@pytest.mark.parametrize("shots", [1, 4], ids=["fewer examples than features", "more examples than features"])
def test_the_ridge_head_is_that_of_the_equations(trial_config: Make, shots: int) -> None:
    learner, meta, batch = set_up(config(trial_config, shots, head="ridge", ridge=0.7))
    support, query = (encode(learner.network, meta, part).numpy() for part in (batch.support, batch.query))
    logits = learner.condition(meta, batch.support)(batch.query).numpy()
    for x, classes, asked, found in zip(support, batch.support.targets.numpy(), query, logits, strict=True):
        y = np.eye(2)[classes]
        w = np.linalg.solve(x.T @ x + 0.7 * np.eye(x.shape[1]), x.T @ y)  # (H, ways)
        np.testing.assert_allclose(found, 10.0 * asked @ w, rtol=1e-9, atol=1e-12)


def test_the_svm_head_is_the_optimum_of_scikit_learn(trial_config: Make) -> None:
    learner, meta, batch = set_up(config(trial_config, 4, head="svm", svm_cost=2.0))
    support, query = (encode(learner.network, meta, part).numpy() for part in (batch.support, batch.query))
    logits = learner.condition(meta, batch.support)(batch.query).numpy()
    peer = LinearSVC(multi_class="crammer_singer", fit_intercept=False, C=2.0, tol=1e-10, max_iter=10**6)
    for x, classes, asked, found in zip(support, batch.support.targets.numpy(), query, logits, strict=True):
        between = peer.fit(x, classes).coef_[0]  # of two classes it gives w_1 - w_0
        np.testing.assert_allclose(found[:, 1] - found[:, 0], 10.0 * asked @ between, atol=1e-4)
