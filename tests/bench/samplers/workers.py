"""What eight workers change: ``python -m tests.bench.samplers.workers`` (minutes).

The same study with one worker and with eight, on a simulated clock. Does a worker ask for what another one trains? How
much worse is the best config after as many trials, for suggestions that know less? How much sooner is it as good as one
worker's in the end? Of language_id a trial gets the nearest config that was recorded, so that a suggestion may come
again there that was never tried; duplicates are counted in what is tried.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from hpo.config.execution import SamplerConfig
from hpo.sampler import make_sampler
from hpo.sampler.domain import Domain
from tests.bench.samplers.clock import Studied, designed, studied, timed
from tests.bench.samplers.contenders import STARTUP_TRIALS
from tests.bench.samplers.problems import NAMES
from tests.bench.samplers.shapes import SHAPES


def study(name: str, workers: int, trials: int, seed: int) -> Studied:
    """One study; both numbers of workers begin with the same trials."""
    on = timed(name, seed)
    config = SamplerConfig(kind="gp_ei", seed=seed, startup_trials=STARTUP_TRIALS)
    make = partial(make_sampler, config, on.problem.space)
    return studied(on, make, design=designed(on, seed, STARTUP_TRIALS), trials=trials, workers=workers)


def duplicates(of: Studied) -> int:
    """Trials of a config that another trial had."""
    domain = Domain.of(of.problem.space)
    return len(of.runs) - len({domain.key(run.params) for run in of.runs})


def compared(alone: Sequence[Studied], together: Sequence[Studied]) -> dict[str, float]:
    """Of the seeds of one problem. Regrets are medians; so are the times until one worker's last regret."""
    return {
        "duplicates": sum(map(duplicates, together)),
        "regret alone": statistics.median(each.regret for each in alone),
        "regret together": statistics.median(each.regret for each in together),
        "seconds alone": statistics.median(each.time_to(each.regret) for each in alone),
        "seconds together": statistics.median(
            many.time_to(one.regret) for one, many in zip(alone, together, strict=True)
        ),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.samplers.workers", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--problems", nargs="+", choices=NAMES, default=["language_id", *SHAPES])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    found = {}
    with ProcessPoolExecutor(options.processes) as pool:
        for name in options.problems:
            work = [
                pool.submit(study, name, workers, options.trials, seed)
                for workers, seed in itertools.product((1, options.workers), range(options.seeds))
            ]
            all_studies = [future.result() for future in work]
            found[name] = compared(all_studies[: options.seeds], all_studies[options.seeds :])
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
