"""The thin adapter between ``suggest`` and Optuna."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import torch
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

from hpo.records import Estimate, Observation, Prospect
from hpo.sampler.distributions import distributions
from hpo.sampler.domain import Domain, Key, Points, key
from hpo.sampler.history import History, history, sign
from hpo.sampler.knowledge import Fitted
from hpo.sampler.sources import Sources
from hpo.sampler.suggest import STARTUP_TRIALS, Suggestions, suggest
from hpo.space import Params, Space, is_near

MOST_UNKNOWN = 8
# Of the first trial, see cost.py. Of 90 recorded trainings with a pruner (16 seeds) log10 regret after 100 / 125 / 150
# seconds is -1.61 / -1.76 / -1.85 where costs do not count, -1.57 / -1.70 / -1.88 with 1, -1.70 / -1.96 / -1.96 with 2
# and -1.47 / -2.08 / -2.08 with 3; measured while the improvement was on the luckiest trial.
MOST_THRIFT = 3.0


@dataclass(frozen=True)
class _Prepared:
    params: Params
    known: frozenset[Key]  # the points that it was conditioned on
    prospect: Prospect | None  # of the first that came from one fit


class GpEiSampler(BaseSampler):
    """Gaussian process and expected improvement over ``space``; one objective, any direction.

    ``seed`` is the study's, ``worker_seed`` the worker's: workers share the start-up sequence and differ in the search,
    so that two with one history do not propose one point. ``thrifty_trials``: over so many, the weight that the cost of
    a trial has falls to 0. ``sources``: trials of other studies, each study's by itself, to be minimized. Thread-safe.
    Keeps the last fits' hyperparameters as the start of the next, and prepared suggestions; nothing else, so that a new
    sampler continues a study.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        worker_seed: int = 0,
        startup_trials: int = STARTUP_TRIALS,
        thrifty_trials: int = 0,
        sources: Sequence[Sequence[Observation]] = (),
    ) -> None:
        self._domain = Domain.of(space)
        self._sources = Sources.of(self._domain, sources)
        self._distributions = distributions(space)
        self._seed = seed
        self._search_seed = int(np.random.SeedSequence([seed, worker_seed]).generate_state(1)[0])
        self._startup_trials = startup_trials
        self._thrifty_trials = thrifty_trials
        self._fallback = RandomSampler(seed=self._search_seed)
        self._fitted: Fitted | None = None
        self._last = Suggestions(())
        self._sign = 1.0
        self._prospect: Prospect | None = None
        self._prepared: deque[_Prepared] = deque()
        self._lock = threading.RLock()

    @property
    def posterior(self) -> Mapping[int, Estimate]:
        """Suggestions.posterior in the study's direction, as of the last fit; empty before it."""
        with self._lock, _one_thread():
            found = self._last.posterior
        return {number: Estimate(mean=self._sign * of.mean, sem=of.sem) for number, of in found.items()}

    @property
    def prospect(self) -> Prospect | None:
        """Of the last suggestion, if it is the first from its fit; None of the start-up's."""
        return self._prospect

    def prepare(self, study: Study, n: int = 1) -> None:
        """Computes the next ``n`` suggestions from one fit, each conditioned on those before it and on what runs.

        The next ``n`` calls of ``ask`` then need not wait; what was prepared before is thrown away.
        """
        with self._lock:
            self._prepared.clear()
            past = history(study, self._domain)
            suggested = self._suggest(study, past, len(study.get_trials(deepcopy=False)), n)
            if self._fitted is None:
                return  # a start-up point belongs to its trial's number, which is not known yet, and takes no time
            known = frozenset(self._points(past))
            for params in suggested:
                self._prepared.append(_Prepared(params, known, None if self._prepared else self._prospect))
                known |= {self._domain.key(params)}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space, always."""
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of all active dimensions."""
        self._raise_error_if_multi_objective(study)
        with self._lock:
            past = history(study, self._domain, trial.number)
            prepared = self._prepared.popleft() if self._prepared else None
            if prepared is not None and self._is_fresh(prepared, past):
                self._prospect = prepared.prospect
                return dict(prepared.params)
            return dict(self._suggest(study, past, trial.number)[0])

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Uniform: only for a parameter that the space does not know."""
        return self._fallback.sample_independent(study, trial, param_name, param_distribution)

    def _suggest(self, study: Study, past: History, number: int, n: int = 1) -> tuple[Params, ...]:
        with _one_thread():
            suggestions = suggest(
                self._domain.space,
                past.observations,
                past.pending,
                n,
                seed=self._search_seed,
                number=number,
                design_seed=self._seed,
                startup_trials=self._startup_trials,
                leave=min(past.unknown, MOST_UNKNOWN),
                fitted=self._fitted,
                thrift=self._thrift(number),
                sources=self._sources,
            )
        self._fitted = suggestions.fitted
        self._prospect = suggestions.prospect
        self._last, self._sign = suggestions, sign(study)
        return suggestions.params

    def _thrift(self, number: int) -> float:
        return MOST_THRIFT * max(0.0, 1.0 - number / self._thrifty_trials) if self._thrifty_trials else 0.0

    def _is_fresh(self, prepared: _Prepared, past: History) -> bool:
        """Whether no trial that it was not conditioned on is at, or next to, the prepared point."""
        point = self._domain.space.encode(prepared.params)
        points = self._points(past)
        if key(point) in points:
            return False
        return not any(is_near(point, x) for at, x in points.items() if at not in prepared.known)

    def _points(self, past: History) -> dict[Key, Points]:
        known = chain((o.params for o in past.observations), past.pending)
        return {key(x): x for params in known if (x := self._domain.point(params)) is not None}


@contextmanager
def _one_thread() -> Iterator[None]:
    """The matrices are small: more threads only take cores from the trials.

    Those of SciPy's own BLAS above all, which L-BFGS-B calls for systems of a few rows: on two busy cores an ask after
    300 trials took 0.44 s of CPU with them, 0.21 s without.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _blas().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)


@cache
def _blas() -> ThreadpoolController:
    """The libraries that this process has loaded; to look for them takes milliseconds."""
    return ThreadpoolController()
