"""What to try next: a pure function from a history to params. Knows neither Optuna nor a database.

Start-up: points of one scrambled Sobol sequence, which all workers of a study share (``design_seed``), numbered
by trial, so that together they fill the space. Then: fit the surrogate to what is known, maximize the expected
improvement given what runs, take the best point that was not tried yet. Several suggestions at once, from one fit: each
is pending for the next, which maximizes their joint expected improvement greedily.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import torch

from hpo.records import Observation, Outcome
from hpo.sampler.acqf_search import Search, first_unseen, sobol
from hpo.sampler.acquisition import acquisition
from hpo.sampler.domain import Domain, Key, Points
from hpo.sampler.outcomes import Standardized, informative, is_measured, standardize
from hpo.sampler.surrogate import Hyperparameters, Surrogate, fit
from hpo.space import Params, Space

STARTUP_TRIALS = 8
SPARE = 128  # points to choose from where the start-up sequence meets one that was tried


@dataclass(frozen=True)
class Suggestions:
    """``params``: what to try, in this order.

    ``hyperparameters``: of the fit, where the next one starts; None during the start-up.
    ``posterior_means``: trial number -> posterior mean on the study's scale, of every trial that finished with a finite
    value (a pruned one did not finish); the least is the incumbent. Empty during the start-up.
    """

    params: tuple[Params, ...]
    hyperparameters: Hyperparameters | None = None
    posterior_means: Mapping[int, float] = field(default_factory=dict)


def suggest(
    space: Space,
    observations: Sequence[Observation],
    pending: Sequence[Mapping[str, Any]] = (),
    n: int = 1,
    seed: int = 0,
    *,
    number: int | None = None,
    design_seed: int | None = None,
    startup_trials: int = STARTUP_TRIALS,
    leave: int = 0,
    hyperparameters: Hyperparameters | None = None,
) -> Suggestions:
    """``n`` points to try, given trials that ended (``observations``, to be minimized) and params of those that run.

    The same arguments give the same answer, and no history makes it raise. No point that was evaluated or is
    pending is suggested while the space has another one. Params that are no point of the space are passed over.

    ``number``: of the trial that the first suggestion is for; default: the count of trials so far.
    ``design_seed``: of the start-up sequence; default ``seed``.
    ``leave``: how many of the best points to leave to others that ask at this moment (after the start-up).
    ``hyperparameters``: of the last answer; makes the fit several times faster.
    """
    domain = Domain.of(space)
    observations = [observation for observation in observations if domain.contains(observation.params)]
    pending = [params for params in pending if domain.contains(params)]
    if number is None:
        number = len(observations) + len(pending)
    seen = {domain.key(params) for params in chain((o.params for o in observations), pending)}
    rng = np.random.default_rng([seed, number])
    data = informative(observations)
    if len(space) == 0 or len(data) < startup_trials or not any(is_measured(observation) for observation in data):
        design = np.random.default_rng(seed if design_seed is None else design_seed)
        return Suggestions(tuple(_space_filling(domain, seen, n, number, design, rng)))
    knowledge = _learn(domain, data, hyperparameters)
    improving = _improving(domain, knowledge, domain.encode(pending), seen, rng)
    return Suggestions(
        tuple(islice(improving, leave, leave + n)), knowledge.surrogate.hyperparameters, knowledge.means()
    )


@dataclass(frozen=True)
class _Knowledge:
    """The surrogate and what it was fitted to: n trials, their points (n, d) and outcomes."""

    data: Sequence[Observation]
    x: Points
    outcomes: Standardized
    surrogate: Surrogate

    @property
    def incumbent(self) -> int:
        """Row of the best outcome."""
        return int(np.argmin(self.outcomes.z))

    def means(self) -> dict[int, float]:
        """See Suggestions.posterior_means."""
        with torch.no_grad():
            mean, _ = self.surrogate.posterior(torch.from_numpy(self.x))
        restored = self.outcomes.restore(mean.numpy()).tolist()
        pairs = zip(self.data, restored, strict=True)
        return {o.number: value for o, value in pairs if o.outcome is Outcome.OK and is_measured(o)}


def _learn(domain: Domain, data: Sequence[Observation], start: Hyperparameters | None) -> _Knowledge:
    x = domain.encode([observation.params for observation in data])
    outcomes = standardize(data)
    surrogate = Surrogate.condition(domain, x, outcomes.z, fit(domain, x, outcomes.z, start))
    return _Knowledge(data, x, outcomes, surrogate)


def _improving(
    domain: Domain, knowledge: _Knowledge, pending: Points, seen: set[Key], rng: np.random.Generator
) -> Iterator[Params]:
    """The point of the highest expected improvement given what is pending, then the next one given that one too, ..."""
    best, lengthscales = knowledge.incumbent, knowledge.surrogate.lengthscales
    while True:
        goal = acquisition(
            knowledge.surrogate, knowledge.outcomes.z[best], torch.from_numpy(pending), int(rng.integers(2**31))
        )
        ranked = Search(goal, domain, lengthscales).ranked(knowledge.x[best], rng)
        params = _take(domain, ranked, seen, fallback=knowledge.x[best])
        yield params
        pending = np.vstack([pending, domain.encode([params])])


def _space_filling(
    domain: Domain, seen: set[Key], n: int, number: int, design: np.random.Generator, rng: np.random.Generator
) -> Iterator[Params]:
    """Points ``number``, ... of the shared sequence; where one was tried already, any other."""
    if len(domain) == 0 or n == 0:
        yield from ({} for _ in range(n))
        return
    own = domain.canonical(domain.snap(sobol(len(domain), n, design, number)))
    others = domain.canonical(domain.snap(sobol(len(domain), SPARE, rng)))
    for x in own:
        yield _take(domain, chain([x], others), seen, fallback=x)


def _take(domain: Domain, ranked: Iterator[Points], seen: set[Key], fallback: Points) -> Params:
    """The first point that was not seen, which then is; else any unseen one of the space; else a repeat."""
    candidates = list(ranked)
    x = first_unseen(iter(candidates), domain, seen, len(candidates))
    if x is None:
        # one more than were seen is enough to meet a new one, if there is one
        x = first_unseen(domain.enumerate(), domain, seen, len(seen) + 1)
    params = domain.space.decode(next(iter(candidates), fallback) if x is None else x)
    seen.add(domain.key(params))
    return params
