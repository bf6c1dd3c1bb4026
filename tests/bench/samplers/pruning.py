"""What pruning and cost-awareness save: ``python -m tests.bench.samplers.pruning`` (minutes).

Studies of recorded trainings: 60 trials that are all trained to their end; 90, of which the pruner ends most early; 65
with a sampler that weighs the improvement against the seconds as well. Regret is that of the best config that was
trained to its end.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import optuna

from hpo.config.execution import SamplerConfig
from hpo.sampler import make_sampler
from tests.bench.samplers.budget import halving
from tests.bench.samplers.clock import Studied, designed, quiet, studied, timed
from tests.bench.samplers.contenders import STARTUP_TRIALS

WAYS = {"all trained": (False, False), "pruned": (True, False), "pruned, cost-aware": (True, True)}


def study(way: str, trials: int, seed: int) -> Studied:
    """One study, all begin with the same trials."""
    pruned, cost_aware = WAYS[way]
    quiet()
    on = timed("language_id", seed)
    config = SamplerConfig(kind="gp_ei", seed=seed, startup_trials=STARTUP_TRIALS, cost_aware=cost_aware)
    make = partial(make_sampler, config, on.problem.space, trials=trials)
    of = optuna.create_study(pruner=halving()) if pruned else None
    return studied(on, make, design=designed(on, seed, STARTUP_TRIALS), trials=trials, study=of)


def figures(studies: Sequence[Studied]) -> dict[str, float]:
    """Means over the seeds; of regrets also the mean logarithm."""
    return {
        "regret": statistics.mean(each.regret for each in studies),
        "log10 regret": statistics.mean(math.log10(each.regret) for each in studies),
        "meta-iterations": statistics.mean(each.meta_iterations for each in studies),
        "seconds": statistics.mean(each.seconds for each in studies),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.samplers.pruning", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--trials", type=int, default=60, help="of the study without a pruner")
    parser.add_argument("--pruned-trials", type=int, default=90)
    parser.add_argument("--cost-aware-trials", type=int, default=65)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    found = {}
    with ProcessPoolExecutor(options.processes) as pool:
        for way, trials in zip(WAYS, (options.trials, options.pruned_trials, options.cost_aware_trials), strict=True):
            found[way] = figures(list(pool.map(partial(study, way, trials), range(options.seeds))))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
