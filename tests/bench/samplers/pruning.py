"""What pruning and cost-awareness save: ``python -m tests.bench.samplers.pruning`` (minutes).

Studies of recorded trainings: 60 trials that are all trained to their end; 90, of which the pruner ends most early; 90
with a sampler that weighs the improvement against the seconds as well. Regret is that of the best config that was
trained to its end; also after 0.7 of the seconds that the studies with a pruner take on average.
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

EARLY = 0.7
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


def figures(studies: Sequence[Studied], early: float) -> dict[str, float]:
    """Means over the seeds; of regrets also the mean logarithm, and that of those after ``early`` seconds."""
    return {
        "regret": statistics.mean(each.regret for each in studies),
        "log10 regret": statistics.mean(math.log10(each.regret) for each in studies),
        "log10 regret early": statistics.mean(math.log10(each.regret_at(early)) for each in studies),
        "meta-iterations": statistics.mean(each.meta_iterations for each in studies),
        "seconds": statistics.mean(each.seconds for each in studies),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.samplers.pruning", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--trials", type=int, default=60, help="of the study without a pruner")
    parser.add_argument("--pruned-trials", type=int, default=90, help="of the other two")
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    seeds = range(options.seeds)
    with ProcessPoolExecutor(options.processes) as pool:
        work = {
            way: [pool.submit(study, way, options.pruned_trials if pruned else options.trials, seed) for seed in seeds]
            for way, (pruned, _) in WAYS.items()
        }
        found = {way: [future.result() for future in futures] for way, futures in work.items()}
    early = EARLY * statistics.mean(each.seconds for each in found["pruned"])
    print(json.dumps({way: figures(studies, early) for way, studies in found.items()}, indent=1))


if __name__ == "__main__":
    main()
