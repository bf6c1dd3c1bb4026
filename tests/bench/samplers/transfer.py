"""What a warm start is worth: ``python -m tests.bench.samplers.transfer`` (half an hour).

A source is 40 trials of ours on a relative of the problem, told on another scale (3 y + 5):

    near       every number moved by 0.06 of its range, its sign drawn
    far        every number moved by half of its range, around the end
    opposite   the sign turned: its best is the problem's worst

Then ours with the default eight start-up trials plays the problem without a source, with each, and with near and
opposite together. The figures are the median regret and, of log10 regret less that without a source, the mean and its
standard error over seeds (eight):

    noisy_quadratic   5                      10                     20                     40
    none              0.52                   0.324                  0.177                  0.0356
    near              0.151 (-0.61 ± 0.18)   0.0907 (-0.50 ± 0.19)  0.0907 (-0.25 ± 0.21)  0.0417 (+0.09 ± 0.26)
    far               0.609 (+0.10 ± 0.08)   0.345 (+0.04 ± 0.04)   0.169 (+0.13 ± 0.13)   0.0503 (+0.11 ± 0.09)
    opposite          0.744 (+0.03 ± 0.10)   0.249 (-0.00 ± 0.05)   0.156 (-0.03 ± 0.22)   0.0884 (+0.19 ± 0.23)
    both              0.157 (-0.56 ± 0.14)   0.105 (-0.54 ± 0.17)   0.0559 (-0.49 ± 0.17)  0.0391 (-0.06 ± 0.16)

    hartmann6
    none              2.74                   2.37                   1.38                   0.121
    near              0.57 (-0.68 ± 0.06)    0.451 (-0.77 ± 0.12)   0.162 (-1.03 ± 0.29)   0.123 (-0.45 ± 0.66)
    far               2.87 (+0.01 ± 0.01)    2.24 (+0.01 ± 0.01)    0.645 (-0.24 ± 0.12)   0.153 (-0.15 ± 0.25)
    opposite          2.74 (+0.00 ± 0.00)    2.38 (+0.01 ± 0.01)    0.876 (-0.05 ± 0.09)   0.12 (+0.02 ± 0.16)
    both              0.484 (-0.72 ± 0.06)   0.428 (-0.69 ± 0.06)   0.187 (-0.95 ± 0.24)   0.154 (-0.50 ± 0.71)
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from hpo.records import Observation, Outcome
from hpo.sampler.domain import Domain
from hpo.sampler.sources import Sources
from hpo.sampler.suggest import suggest
from hpo.space import Params
from tests.bench.samplers.shapes import SHAPES, Shape, shape

SOURCE_TRIALS = 40
SOURCES = {"none": (), "near": ("near",), "far": ("far",), "opposite": ("opposite",), "both": ("near", "opposite")}
AT = (5, 10, 20, 40)


def relative(task: Shape, kind: str, seed: int) -> Shape:
    """A problem whose trials may or may not help with ``task``."""
    signs = np.random.default_rng([7, seed]).choice([-1.0, 1.0], len(task.space))
    ordered = ~task.space.categorical

    def moved(params: Params) -> Params:
        x = task.space.encode(params)
        near, far = np.clip(x + 0.06 * signs, 0.0, 1.0), (x + 0.5) % 1.0
        return task.space.decode(np.where(ordered, near if kind == "near" else far, x))

    def formula(params: Params) -> float:
        if kind != "opposite":
            return 3 * task.formula(moved(params)) + 5
        y = task.formula(params)
        return 5 - 3 * y if math.isfinite(y) else y

    return replace(task, formula=formula, noise=3 * task.noise)


def trials(task: Shape, seed: int, count: int, sources: Sources | None = None) -> list[Observation]:
    """Of ours, one after the other."""
    observations: list[Observation] = []
    fitted = None
    for number in range(count):
        answer = suggest(task.space, observations, seed=seed, number=number, fitted=fitted, sources=sources)
        fitted = answer.fitted
        value = task.told(answer.params[0], np.random.default_rng([seed, number]))
        outcome = Outcome.DIVERGED if value is None else Outcome.OK
        observations.append(Observation(number=number, params=answer.params[0], outcome=outcome, value=value))
    return observations


@cache
def source(problem: str, kind: str, seed: int) -> list[Observation]:
    """The trials of a relative."""
    return trials(relative(shape(problem), kind, seed), seed + 1000, SOURCE_TRIALS)


def regrets(problem: str, seed: int, evaluations: int = AT[-1]) -> dict[str, list[float]]:
    """By source: the regret of the best config after each evaluation."""
    torch.set_num_threads(1)
    task, found = shape(problem), {}
    for name, kinds in SOURCES.items():
        sources = Sources.of(Domain.of(task.space), [source(problem, kind, seed) for kind in kinds])
        worths = [task.worth(one.params) - task.optimum for one in trials(task, seed, evaluations, sources)]
        found[name] = [max(min(worths[:n]), task.floor) for n in range(1, evaluations + 1)]
    return found


def table(plays: Sequence[dict[str, list[float]]], at: Sequence[int] = AT) -> list[str]:
    """A line a source."""

    def cell(name: str, n: int) -> str:
        gains = [math.log10(play[name][n - 1] / play["none"][n - 1]) for play in plays]
        error = statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
        median = f"{statistics.median(play[name][n - 1] for play in plays):.3g}"
        return median if name == "none" else f"{median} ({statistics.mean(gains):+.2f} ± {error:.2f})"

    return [f"| {name} | " + " | ".join(cell(name, n) for n in at) + " |" for name in plays[0]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table for each problem, or JSON: problem -> regrets of each seed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.samplers.transfer", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--problems", nargs="+", choices=SHAPES, default=["noisy_quadratic", "hartmann6"])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    run: Callable[..., dict[str, list[float]]] = regrets
    with ProcessPoolExecutor(options.processes) as pool:
        asked = {name: [pool.submit(run, name, seed) for seed in range(options.seeds)] for name in options.problems}
        found = {name: [one.result() for one in of_name] for name, of_name in asked.items()}
    if options.json:
        print(json.dumps(found))
        return
    for name, plays in found.items():
        print(f"\n| {name}, source | " + " | ".join(map(str, AT)) + " |\n" + "|---" * (len(AT) + 1) + "|")
        print("\n".join(table(plays)))


if __name__ == "__main__":
    main()
