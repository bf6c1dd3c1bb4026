"""SMAC3 by its ask-and-tell interface: the facade for hyperparameters, a random forest with expected improvement."""

from __future__ import annotations

import logging
import math
from tempfile import TemporaryDirectory
from typing import Any

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.space import Params, SearchDimension, Space
from tests.bench import peers

SEED = 0  # of every trial: SMAC goes on with the one that it is told


class Smac:
    """Raises peers.Missing where it cannot be had."""

    def __init__(self, space: Space, seed: int) -> None:
        self._history = peers.load("smac", "smac.runhistory")
        self._configs = peers.load("smac", "ConfigSpace")
        logging.getLogger("smac").setLevel(logging.ERROR)  # that there is no initial design is a warning
        self._space = self._configs.ConfigurationSpace(seed=seed)
        self._space.add([_hyperparameter(dimension) for dimension in space.dimensions])
        self._optimizer = _optimizer(self._space, seed)
        self._worst = -math.inf
        self._failed: list[Params] = []  # while nothing has succeeded

    def tell(self, params: Params, value: float | None) -> None:
        """A crash costs as much as the worst success: the default is infinite, which its forest cannot be fitted to."""
        if value is None:
            self._failed.append(params)
        else:
            self._worst = max(self._worst, value)
            self._add(params, value, self._history.StatusType.SUCCESS)
        while self._failed and math.isfinite(self._worst):
            self._add(self._failed.pop(), self._worst, self._history.StatusType.CRASHED)

    def ask(self) -> Params:
        """See Peer."""
        return {name: _plain(value) for name, value in dict(self._optimizer.ask().config).items()}

    def _add(self, params: Params, cost: float, status: Any) -> None:
        config = self._configs.Configuration(self._space, values=params)
        value = self._history.TrialValue(cost=cost, status=status)
        self._optimizer.tell(self._history.TrialInfo(config, seed=SEED), value, save=False)


def _optimizer(space: Any, seed: int) -> Any:
    """``deterministic``: each config once. As its users get it: the forest is fitted anew for every eighth ask."""
    smac = peers.load("smac", "smac")
    facade = smac.HyperparameterOptimizationFacade
    with TemporaryDirectory() as output:  # it saves itself once
        scenario = smac.Scenario(space, deterministic=True, seed=seed, output_directory=output)
        return facade(
            scenario,
            initial_design=facade.get_initial_design(scenario, n_configs=0),
            logging_level=False,
        )


def _hyperparameter(dimension: SearchDimension) -> Any:
    configs = peers.load("smac", "ConfigSpace")
    match dimension.config:
        case CategoricalDimension(choices=choices):
            return configs.Categorical(dimension.name, choices)
        case FloatDimension(low=low, high=high, log=log, step=None):
            return configs.Float(dimension.name, (low, high), log=log)
        case IntDimension(low=low, high=high, log=log, step=1):
            return configs.Integer(dimension.name, (low, high), log=log)
    raise ValueError(f"{dimension.name}: the benchmark has no steps")


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
