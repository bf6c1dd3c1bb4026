"""The official one-shot runs, from the published archive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from hpo.meta.tasks import TaskBatch
from hpo.meta.tasks.omniglot_runs import RUNS, WAYS, official_runs
from tests.real_data import folder_with


@pytest.fixture(scope="module")
def runs() -> Iterator[TaskBatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPO_DATA_DIR", str(folder_with("omniglot/all_runs.zip")))
        yield official_runs()


def test_a_run_is_a_task_of_20_ways_and_one_shot(runs: TaskBatch) -> None:
    for episode in (runs.support, runs.query):
        assert episode.inputs.shape == (RUNS, WAYS, 28, 28)
        assert (episode.targets == torch.arange(WAYS)).all()
        assert (episode.lengths == 28).all()
        assert 0.0 <= float(episode.inputs.min()) < float(episode.inputs.max()) <= 1.0
    images = torch.cat([runs.support.inputs, runs.query.inputs], dim=1).flatten(0, 1)
    assert len(images.unique(dim=0)) == 2 * RUNS * WAYS


def test_the_nearest_image_is_of_the_same_character_more_often_than_by_chance(runs: TaskBatch) -> None:
    """Chance is 5%; were the labels shuffled, the 20 runs would give 5.0 ± 1.1."""
    nearest = torch.cdist(runs.query.inputs.flatten(2), runs.support.inputs.flatten(2)).argmin(dim=2)
    accuracy = float((nearest == runs.query.targets).double().mean())
    assert 0.15 < accuracy < 0.3
