from __future__ import annotations

import pytest
import torch

from hpo.config.model import ModelConfig
from hpo.meta.gradients import Way
from hpo.meta.learners import chunks
from hpo.meta.learners.chunks import Chunking, chunking
from hpo.meta.network import Network
from hpo.meta.tasks.base import Classes, Episode, Features, TaskBatch


def planned(
    monkeypatch: pytest.MonkeyPatch, way: Way, hidden: int, *, steps: int = 5, points: int = 0, time: int = 28,
    shots: int = 5,
) -> Chunking:  # fmt: skip
    monkeypatch.setattr(chunks, "way", lambda *_: way)
    network = Network(ModelConfig(hidden_size=hidden), Features(28), Classes(5))
    inputs = torch.zeros(1).expand(16, shots, time, 28)
    episode = Episode(inputs, torch.zeros(16, shots, dtype=torch.int64), torch.full((16, shots), time))
    parameters = sum(tensor.numel() for tensor in network.init(torch.Generator()).values())
    return chunking(network, parameters, TaskBatch(episode, episode), steps, points)


def test_larger_networks_hold_fewer_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [planned(monkeypatch, Way.RECURRENCES, hidden).tasks for hidden in (32, 128, 512, 4096)]
    assert tasks == sorted(tasks, reverse=True)
    assert tasks[0] > 16
    assert tasks[-1] == 1


def test_longer_inner_loops_hold_fewer_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [planned(monkeypatch, Way.ACCELERATED, 128, steps=steps).tasks for steps in (0, 1, 5, 100)]
    assert tasks == sorted(tasks, reverse=True)
    assert len(set(tasks)) == 4


def test_points_on_the_way_take_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [planned(monkeypatch, Way.ACCELERATED, 512, steps=0, points=points).tasks for points in (0, 2, 10)]
    assert tasks == sorted(tasks, reverse=True)
    assert len(set(tasks)) == 3


def test_autograds_graph_holds_fewer_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    by = {way: planned(monkeypatch, way, 16).tasks for way in (Way.ACCELERATED, Way.AUTOGRAD)}
    assert by[Way.AUTOGRAD] < by[Way.ACCELERATED]


def test_a_single_task_that_is_too_large_is_computed_again_on_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not planned(monkeypatch, Way.ACCELERATED, 128).recompute
    long = planned(monkeypatch, Way.ACCELERATED, 128, steps=100, time=2000)
    assert (long.tasks, long.recompute) == (1, True)
