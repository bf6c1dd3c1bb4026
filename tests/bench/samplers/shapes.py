"""Losses that are formulas; problems.py says which."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import minimize

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.space import Params, Space


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


@cache
def shape(name: str) -> Shape:
    """KeyError where there is none of that name."""
    return _SHAPES[name]()


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


_SHAPES: dict[str, Callable[[], Shape]] = {
    "hartmann6": lambda: Shape(_hartmann_space(), _hartmann6, -3.322368011415515),
    "ackley_mixed": lambda: Shape(_ackley_space(), _ackley, 0.0),
    "noisy_quadratic": lambda: Shape(_quadratic_space(), _quadratic, 0.0, noise=0.2, floor=1e-3),
    "stability_edge": lambda: Shape(_edge_space(), _edge, _edge_optimum(), noise=0.02, floor=1e-3),
}
SHAPES = tuple(_SHAPES)
