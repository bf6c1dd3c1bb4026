"""Which config is reported as the best: ``python -m tests.bench.samplers.noise`` (minutes).

Studies of recorded trainings whose losses get normal noise, as of another seed. What are these truly worth: the
luckiest trial's config, the likely best by posterior mean, and the best of the likeliest once they are trained again
with new seeds? How often is the truth of the likely best in the interval that is stated for it?
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
import optuna
from scipy.stats import norm

from hpo.config.execution import StopConfig
from hpo.ranking import candidates, ranking
from hpo.records import Estimate
from hpo.sampler.optuna_sampler import GpEiSampler
from hpo.space import Params, is_near
from tests.bench.samplers.clock import Timed, Training, designed, quiet, studied, timed
from tests.bench.samplers.contenders import STARTUP_TRIALS
from tests.bench.samplers.problems import Problem

CANDIDATES = 3


@dataclass(frozen=True)
class Noisy:
    """Trainings of another one, each with noise of its own, of which it states the deviation."""

    clean: Timed
    deviation: float
    seed: int

    @property
    def problem(self) -> Problem:
        """See Timed."""
        return self.clean.problem

    def training(self, params: Params, number: int) -> Training:
        """See Timed."""
        clean = self.clean.training(params, number)
        return replace(clean, values=[value + self.noise(number) for value in clean.values], sem=self.deviation)

    def noise(self, number: int) -> float:
        """Of the training with this number."""
        return float(np.random.default_rng([self.seed, number]).normal(0.0, self.deviation))


@dataclass(frozen=True)
class Reported:
    """True losses of the configs that are reported, and how far off the interval of the likely best is."""

    luckiest: float
    likely: float
    confirmed: float
    off: float  # standard deviations from the likely best's posterior mean to its truth


def reported(trials: int, deviation: float, seed: int) -> Reported:
    """Of one study."""
    quiet()
    on = Noisy(timed("language_id", seed), deviation, seed)
    sampler = GpEiSampler(on.problem.space, seed=seed, startup_trials=STARTUP_TRIALS)
    study = optuna.create_study(pruner=optuna.pruners.NopPruner())
    studied(on, lambda worker: sampler, design=designed(on, seed, STARTUP_TRIALS), trials=trials, study=study)
    sampler.prepare(study)  # the posterior with the last trial
    posterior, params = sampler.posterior, [trial.params for trial in study.trials]
    worth = [on.problem.worth(each) for each in params]
    chosen = _candidates(on, posterior, params)
    likely = posterior[chosen[0]]
    return Reported(
        worth[study.best_trial.number],
        worth[chosen[0]],
        worth[_confirmed(on, chosen, worth, trials)],
        (worth[chosen[0]] - likely.mean) / likely.sem,
    )


def _candidates(on: Timed, posterior: Mapping[int, Estimate], params: Sequence[Params]) -> tuple[int, ...]:
    points = [on.problem.space.encode(each) for each in params]
    means = {number: found.mean for number, found in posterior.items()}
    return candidates(means, "minimize", CANDIDATES, lambda one, other: is_near(points[one], points[other]))


def _confirmed(on: Noisy, chosen: Sequence[int], worth: Sequence[float], trials: int) -> int:
    """The best with new seeds, which are numbered after the trials of the search."""
    seeds = range(StopConfig().confirm_seeds)
    numbers = {pair: trials + k for k, pair in enumerate(product(chosen, seeds))}
    values = {number: {seed: worth[number] + on.noise(numbers[number, seed]) for seed in seeds} for number in chosen}
    return ranking(values, "minimize")[0].number


def results(found: Sequence[Reported]) -> dict[str, float]:
    """Mean true losses, mean paired differences with their standard errors, and how often the interval held."""

    def gain(worse: str, better: str) -> tuple[float, float]:
        differences = [getattr(each, better) - getattr(each, worse) for each in found]
        return statistics.mean(differences), statistics.stdev(differences) / math.sqrt(len(found))

    within = float(norm.ppf(0.95))
    return {
        "studies": len(found),
        **{
            name: statistics.mean(getattr(each, name) for each in found) for name in ("luckiest", "likely", "confirmed")
        },
        **dict(zip(("likely less luckiest", "its standard error"), gain("luckiest", "likely"), strict=True)),
        **dict(zip(("confirmed less likely", "and its"), gain("likely", "confirmed"), strict=True)),
        "in the 90% interval": statistics.mean(abs(each.off) <= within for each in found),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.samplers.noise", description=__doc__.split("\n\n")[0])
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--deviation", type=float, default=0.05, help="of the noise; the ten best differ by 0.09")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor(options.processes) as pool:
        found = list(pool.map(partial(reported, options.trials, options.deviation), range(options.studies)))
    print(json.dumps(results(found), indent=1))


if __name__ == "__main__":
    main()
