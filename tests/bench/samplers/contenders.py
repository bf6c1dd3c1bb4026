"""Who is compared: ours, ours without one of its parts, and the others."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest import mock

import optuna
from optuna.exceptions import ExperimentalWarning
from torch import Tensor

from hpo.config.execution import SamplerConfig
from hpo.records import Observation, Outcome
from hpo.sampler import make_sampler
from hpo.sampler.acquisition import Acquisition
from hpo.sampler.density import MINIMUM_NOISE
from hpo.sampler.domain import Points
from hpo.sampler.fit import fit
from hpo.sampler.outcomes import Standardized, is_informative, standardize
from hpo.sampler.surrogate import Hyperparameters
from hpo.space import Space
from tests.bench import peers
from tests.bench.samplers.ask_and_tell import AskAndTell
from tests.bench.samplers.ax_peer import Ax
from tests.bench.samplers.smac_peer import Smac

STARTUP_TRIALS = 10  # told to all alike, so that no sampler starts by itself
THRIFTY_TRIALS = 60

Make = Callable[[Space, int], optuna.samplers.BaseSampler]


def _ours(space: Space, seed: int, trials: int = 0) -> optuna.samplers.BaseSampler:
    """``trials``: over so many costs cease to count."""
    config = SamplerConfig(kind="gp_ei", seed=seed, startup_trials=STARTUP_TRIALS, cost_aware=trials > 0)
    return make_sampler(config, space, worker_seed=0, trials=trials)


def _gp(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS, deterministic_objective=False)


def _tpe(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=True)


def _random(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


def _botorch(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    botorch = peers.load("optuna-integration", "optuna_integration.botorch")
    warnings.filterwarnings("ignore", category=ExperimentalWarning)  # at every ask
    return botorch.BoTorchSampler(seed=seed, n_startup_trials=STARTUP_TRIALS)


def _ax(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    return AskAndTell(Ax(space, seed), space)


def _smac(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    return AskAndTell(Smac(space, seed), space)


CONTENDERS: dict[str, Make] = {
    "ours": _ours,
    "gp": _gp,
    "tpe": _tpe,
    "botorch": _botorch,
    "ax": _ax,
    "smac": _smac,
    "random": _random,
}


def _no_clip(observations: Sequence[Observation]) -> Standardized:
    return standardize(observations, k=math.inf)


def _no_climb(search: object, u: Points) -> Points:
    return u


def _no_noise(*data: Any) -> Hyperparameters:
    return fit(*data[:5], noise_rate=1 / MINIMUM_NOISE**2)  # whatever the rate was: sure that there is none


def _most_likely(*data: Any) -> Hyperparameters:
    return data[3]  # as they were fitted


def _says_something_unpruned(observation: Observation) -> bool:
    return observation.outcome is not Outcome.PRUNED and is_informative(observation)


def _failures_teach_nothing(improvement: Acquisition, feasibility: object) -> Acquisition:
    return improvement


def _squared_exponential(s: Tensor) -> Tensor:
    return (-0.5 * s).exp()


def _squared_exponential_and_slope(s: Tensor) -> tuple[Tensor, Tensor]:
    k = _squared_exponential(s)
    return k, -0.5 * k


ABLATIONS: dict[str, dict[str, Callable[..., Any]]] = {  # what stands in for the part, by where it is looked up
    "noise": {"hpo.sampler.knowledge.fit": _no_noise},
    "draws": {"hpo.sampler.knowledge.draw": _most_likely},
    "curves": {"hpo.sampler.suggest.is_informative": _says_something_unpruned},
    "clip": {"hpo.sampler.knowledge.standardize": _no_clip},
    "feasibility": {"hpo.sampler.knowledge.FeasibleAcquisition": _failures_teach_nothing},
    "kernel": {
        "hpo.sampler.surrogate.matern52": _squared_exponential,
        "hpo.sampler.evidence.matern52_and_slope": _squared_exponential_and_slope,
    },
    "local search": {"hpo.sampler.acqf_search.Search.climb": _no_climb},
}

ADDITIONS: dict[str, Make] = {"cost": partial(_ours, trials=THRIFTY_TRIALS)}  # to ours, by what is off by default


@contextlib.contextmanager
def contender(name: str) -> Iterator[Make]:
    """``name``: of CONTENDERS, "ours -PART": without a part of ABLATIONS while in the block, or "ours +PART"."""
    if name.startswith("ours +"):
        yield ADDITIONS[name.removeprefix("ours +")]
        return
    who, _, part = name.partition(" -")
    with contextlib.ExitStack() as stack:
        for target, replacement in (ABLATIONS[part] if part else {}).items():
            stack.enter_context(mock.patch(target, replacement))
        yield CONTENDERS[who]


def available(names: Sequence[str], space: Space) -> tuple[list[str], list[str]]:
    """Those of ``names`` that can be had, and who is missing and why."""
    found, missing = [], []
    for name in names:
        try:
            with contender(name) as make:
                make(space, 0)
            found.append(name)
        except peers.Missing as reason:
            missing.append(f"{name}: {reason}")
    return found, missing
