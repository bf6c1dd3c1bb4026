"""Who is compared: ours, ours without one of its parts, and the others."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from unittest import mock

import optuna
from optuna.exceptions import ExperimentalWarning

from hpo.config.execution import SamplerConfig
from hpo.sampler import make_sampler
from hpo.space import Space

STARTUP_TRIALS = 10  # told to all alike, so that no sampler starts by itself

Make = Callable[[Space, int], optuna.samplers.BaseSampler]


def _ours(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    config = SamplerConfig(kind="gp_ei", seed=seed, startup_trials=STARTUP_TRIALS)
    return make_sampler(config, space, worker_seed=0)


def _gp(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS, deterministic_objective=False)


def _tpe(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=True)


def _random(space: Space, seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


CONTENDERS: dict[str, Make] = {"ours": _ours, "gp": _gp, "tpe": _tpe, "random": _random}


@contextlib.contextmanager
def _without(target: str, replacement: object) -> Iterator[None]:
    with mock.patch(target, replacement):
        yield


def _no_clip() -> contextlib.AbstractContextManager[None]:
    from hpo.sampler import outcomes

    return _without("hpo.sampler.suggest.standardize", partial(outcomes.standardize, k=float("inf")))


def _no_local_search() -> contextlib.AbstractContextManager[None]:
    return _without("hpo.sampler.acqf_search.Search.climb", lambda self, u: u)


def _squared_exponential() -> contextlib.AbstractContextManager[None]:
    def kernel(distance: object) -> object:
        return (-0.5 * distance).exp()  # type: ignore[operator]

    stack = contextlib.ExitStack()
    for module in ("kernel", "surrogate"):
        stack.enter_context(mock.patch(f"hpo.sampler.{module}.matern52", kernel))
    return stack  # type: ignore[return-value]


def _failures_teach_nothing() -> contextlib.AbstractContextManager[None]:
    return _without("hpo.sampler.suggest.FeasibleAcquisition", lambda acquisition, feasibility: acquisition)


ABLATIONS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "clip": _no_clip,
    "feasibility": _failures_teach_nothing,
    "kernel": _squared_exponential,
    "local search": _no_local_search,
}


@contextlib.contextmanager
def contender(name: str) -> Iterator[Make]:
    """``name``: of CONTENDERS, or "ours -PART": ours without a part of ABLATIONS, while in the block."""
    who, _, part = name.partition(" -")
    with ABLATIONS[part]() if part else contextlib.nullcontext():
        yield CONTENDERS[who]
