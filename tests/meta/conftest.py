from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.config import TrialConfig

sys.path.insert(0, str(Path(__file__).parent))  # for ``kind: toy_tasks:...``


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def trial_config() -> Callable[..., TrialConfig]:
    """A small config; ``trial_config(kind, learner__inner_lr=0.5)`` changes a field of a section."""

    def make(kind: str = "toy_tasks:Prevailing", **changes: Any) -> TrialConfig:
        raw: dict[str, dict[str, Any]] = {
            "objective": {},
            "tasks": {"kind": kind, "shots": 2, "queries": 3},
            "model": {"hidden_size": 5, "embedding_size": 3},
            "learner": {"kind": "maml", "inner_steps": 2, "inner_lr": 0.3},
            "training": {"meta_batch": 3, "meta_iterations": 6, "eval_every": 2, "eval_tasks": 5, "test_tasks": 4},
        }
        for path, value in changes.items():
            section, field = path.split("__")
            raw[section][field] = value
        return TrialConfig.from_dict(raw)

    return make
