"""Ax, as its Client is meant to be used: the default generation strategy without trials of its own at the start."""

from __future__ import annotations

import logging
from typing import Any

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.space import Params, SearchDimension, Space
from tests.bench import peers

LOSS = "loss"


class Ax:
    """Raises peers.Missing where it cannot be had."""

    def __init__(self, space: Space, seed: int) -> None:
        api = peers.load("ax-platform", "ax.api.client")
        for handler in logging.getLogger("ax").handlers:
            handler.setLevel(logging.WARNING)  # every ask is INFO
        self._client = api.Client(random_seed=seed)
        self._client.configure_experiment([_parameter(dimension) for dimension in space.dimensions])
        self._client.configure_optimization(f"-{LOSS}")
        self._client.configure_generation_strategy(initialization_budget=0, initialize_with_center=False)
        self._asked: dict[int, Params] = {}  # what it waits for, by its trial; one at most

    def tell(self, params: Params, value: float | None) -> None:
        """Where a training fails it would fail again: in Ax's terms the trial is abandoned, and not proposed again."""
        trial = self._trial(params)
        if value is None:
            self._client.mark_trial_abandoned(trial)
        else:
            self._client.complete_trial(trial, {LOSS: value})

    def ask(self) -> Params:
        """See Peer."""
        self._asked = self._client.get_next_trials(1)
        return dict(*self._asked.values())

    def _trial(self, params: Params) -> int:
        """Of what was asked for; where another point was tried, a new one, and the other failed for no fault of its."""
        asked, self._asked = self._asked, {}
        for trial, proposed in asked.items():
            if proposed == params:
                return trial
            self._client.mark_trial_failed(trial)
        return int(self._client.attach_trial(params))


def _parameter(dimension: SearchDimension) -> Any:
    configs = peers.load("ax-platform", "ax.api.configs")
    match dimension.config:
        case CategoricalDimension(choices=choices):
            return configs.ChoiceParameterConfig(dimension.name, list(choices), "str", is_ordered=False)
        case FloatDimension(low=low, high=high, log=log, step=None):
            return configs.RangeParameterConfig(dimension.name, (low, high), "float", scaling="log" if log else None)
        case IntDimension(low=low, high=high, log=log, step=1):
            return configs.RangeParameterConfig(dimension.name, (low, high), "int", scaling="log" if log else None)
    raise ValueError(f"{dimension.name}: the benchmark has no steps")
