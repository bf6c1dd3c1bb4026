"""How much of a front is found: ``python -m tests.bench.samplers.fronts`` (minutes).

Studies of recorded trainings whose loss is traded against their seconds. What is found is the volume that the trials
dominate, in loss and the logarithm of seconds, up to a loss of chance and the seconds of the longest training, as a
share of what all recorded trainings dominate. ``ours, by loss`` seeks the best loss alone; ``gp`` and ``tpe`` are
Optuna's, told of both as two objectives. All begin with the same ten trials.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import optuna
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.records import AGAINST_ATTRIBUTE, OUTCOME_ATTRIBUTE
from hpo.sampler import distributions
from hpo.space import Params
from tests.bench.samplers.clock import designed, quiet, timed
from tests.bench.samplers.contenders import CONTENDERS, STARTUP_TRIALS
from tests.bench.samplers.play import asked
from tests.bench.samplers.problems import problem
from tests.bench.samplers.tables import Recorded

CHANCE = math.log(5)  # of five languages
AT = (20, 40, 60)
Pair = tuple[float, float]  # loss, logarithm of seconds
# Who seeks it, and whether it is told of two objectives, of a measurement beside one, or of the loss alone.
WAYS = {
    "ours": ("ours", "beside"),
    "ours, by loss": ("ours", "alone"),
    "gp": ("gp", "two"),
    "tpe": ("tpe", "two"),
    "random": ("random", "alone"),
}


def study(way: str, trials: int, seed: int) -> list[float]:
    """The share of the front that is found after each trial."""
    quiet()
    table, (who, told) = problem("language_id"), WAYS[way]
    assert isinstance(table, Recorded)
    of = optuna.create_study(
        directions=["minimize"] * (2 if told == "two" else 1), sampler=CONTENDERS[who](table.space, seed)
    )
    tried: list[Params] = []
    for params in designed(timed("language_id", seed), seed, STARTUP_TRIALS):
        of.add_trial(_trial(table, params, told))
        tried.append(params)
    while len(tried) < trials:
        trial = of.ask()
        params = table.settle(asked(trial, table.space), tried)
        of.tell(trial, state=TrialState.FAIL)  # what was asked for is not what is tried
        of.add_trial(_trial(table, params, told))
        tried.append(params)
    whole = volume(table, [table.space.decode(point) for point in table.points])
    return [volume(table, tried[:n]) / whole for n in range(1, trials + 1)]


def volume(table: Recorded, tried: Sequence[Params]) -> float:
    """That these trainings dominate."""
    ended = torch.tensor([pair for params in tried if (pair := measured(table, params))], dtype=torch.float64)
    if not len(ended):
        return 0.0
    reference = torch.tensor([CHANCE, math.log(table.seconds[:, -1].max())], dtype=torch.float64)
    return Hypervolume(-reference).compute(-ended[is_non_dominated(ended, maximize=False)])


def measured(table: Recorded, params: Params) -> Pair | None:
    """Of one training; None where it diverged."""
    loss, seconds = table.worth(params), table.seconds[table.row(params), -1]
    return (loss, math.log(seconds)) if math.isfinite(loss) else None


def _trial(table: Recorded, params: Params, told: str) -> FrozenTrial:
    pair = measured(table, params)
    if pair is None:
        ended: dict[str, Any] = {"state": TrialState.FAIL, "user_attrs": {OUTCOME_ATTRIBUTE: "diverged"}}
    elif told == "two":
        ended = {"values": list(pair)}
    else:
        ended = {"value": pair[0], "user_attrs": {AGAINST_ATTRIBUTE: [pair[1]]} if told == "beside" else {}}
    return create_trial(params=params, distributions=distributions(table.space), **ended)


def figures(found: Sequence[Sequence[float]], at: Sequence[int]) -> dict[int, dict[str, float]]:
    """After so many trials the mean over the seeds, and its standard error."""
    return {n: _figure([shares[n - 1] for shares in found]) for n in at}


def _figure(shares: Sequence[float]) -> dict[str, float]:
    error = statistics.stdev(shares) / math.sqrt(len(shares)) if len(shares) > 1 else math.nan
    return {"mean": statistics.mean(shares), "standard error": error}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.samplers.fronts", description=__doc__.split("\n\n")[0])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--trials", type=int, default=AT[-1])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    at = [n for n in AT if n < options.trials] + [options.trials]
    with ProcessPoolExecutor(options.processes) as pool:
        work = {
            way: [pool.submit(study, way, options.trials, seed) for seed in range(options.seeds)]
            for way in options.ways
        }
        found = {way: figures([future.result() for future in futures], at) for way, futures in work.items()}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
