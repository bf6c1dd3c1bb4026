"""Who proposes hyperparameters: our Gaussian process on BoTorch, or one of Optuna's samplers for comparison.

Importing this package loads neither torch nor BoTorch; making a ``gp_ei`` sampler does.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from hpo.config.execution import SamplerConfig
from hpo.records import Observation
from hpo.sampler.distributions import distributions, proposed
from hpo.space import Space

__all__ = ["distributions", "make_sampler", "proposed"]


def make_sampler(
    config: SamplerConfig,
    space: Space,
    worker_seed: int,
    trials: int = 0,
    sources: Sequence[Sequence[Observation]] = (),
) -> BaseSampler:
    """The sampler of one worker of a study; workers of one study differ in ``worker_seed`` >= 0.

    Their streams differ, so that two workers with one history do not propose one point. ``trials``: how many the study
    is to have; without it, costs do not count. ``sources``: what is known of other studies' trials in this space. Only
    ``gp_ei`` knows what to do with either.
    """
    seed = int(np.random.SeedSequence([config.seed, worker_seed]).generate_state(1)[0])
    match config.kind:
        case "gp_ei":
            # torch and BoTorch take seconds to load; a worker with a light sampler does not pay for them
            from hpo.sampler.optuna_sampler import GpEiSampler

            return GpEiSampler(
                space,
                seed=config.seed,
                worker_seed=worker_seed,
                startup_trials=config.startup_trials,
                thrifty_trials=trials if config.cost_aware else 0,
                sources=sources,
            )
        case "random":
            return RandomSampler(seed=seed)
        case "tpe":
            return _tpe(config, space, seed)
        case "gp":
            return GPSampler(seed=seed, n_startup_trials=config.startup_trials, deterministic_objective=False)


def _tpe(config: SamplerConfig, space: Space, seed: int) -> TPESampler:
    with warnings.catch_warnings():
        # Optuna says of every option of its multivariate TPE that it may change
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            seed=seed,
            n_startup_trials=config.startup_trials,
            multivariate=True,
            group=space.is_conditional,
            constant_liar=True,
        )
