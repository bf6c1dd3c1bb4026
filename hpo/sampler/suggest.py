"""What to try next: a pure function from a history to params. Knows neither Optuna nor a database.

Start-up: points of one scrambled Sobol sequence, which all workers of a study share (``design_seed``), numbered
by trial, so that together they fill the space. Then: fit the surrogate to what is known and, once trials have failed,
another to where they fail, and one to the excess over each constraint; maximize the expected improvement given what
runs times the probabilities that the trial gives a value and that it satisfies the constraints; take the best point
that was not tried yet. Several suggestions at once, from one fit: each is pending for the next, which maximizes their
joint expected improvement greedily.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.records import Estimate, Observation, Outcome, Prospect
from hpo.sampler.acqf_search import Search, first_unseen, sobol
from hpo.sampler.acquisition import Acquisition, LogEI, acquisition
from hpo.sampler.constraints import Constraints, indifferent
from hpo.sampler.cost import Cost, ThriftyAcquisition
from hpo.sampler.domain import Domain, Key, Points, key
from hpo.sampler.feasibility import Feasibility, FeasibleAcquisition
from hpo.sampler.outcomes import Standardized, is_informative, is_measured, standardize
from hpo.sampler.sources import OWN_TRIALS, Data, Sources, Transfer, Used
from hpo.sampler.surrogate import FRANK_RATE, Hyperparameters, Surrogate, fit
from hpo.space import Params, Space

STARTUP_TRIALS = 8
SPARE = 128  # points to choose from where the start-up sequence meets one that was tried


@dataclass(frozen=True)
class Fitted:
    """Hyperparameters of the surrogate, alone and with sources; of where trials fail, None where none has; and of each
    constraint.
    """

    outcome: Hyperparameters
    failure: Hyperparameters | None
    with_sources: Mapping[Used, Hyperparameters] = field(default_factory=dict)
    constraints: tuple[Hyperparameters, ...] = ()


@dataclass(frozen=True)
class Suggestions:
    """``params``: what to try, in this order.

    ``fitted``: where the next fits start; None during the start-up.
    ``knowledge``: what they come from; None during the start-up.
    ``prospect``: of the first of ``params``; None during the start-up, and where no trial has finished that satisfies
    the constraints.
    """

    params: tuple[Params, ...]
    fitted: Fitted | None = None
    knowledge: Knowledge | None = field(default=None, compare=False)
    prospect: Prospect | None = None

    @cached_property
    def posterior(self) -> Mapping[int, Estimate]:
        """Trial number -> posterior mean and standard deviation of the noiseless function, on the study's scale.

        Of every trial that finished with a finite value (a pruned one did not finish); the least mean is the incumbent.
        Empty where nothing was learned. Computed when it is asked for: a suggestion does not wait for it.
        """
        return {} if self.knowledge is None else self.knowledge.posterior()


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
    fitted: Fitted | None = None,
    thrift: float = 0.0,
    sources: Sources | None = None,
) -> Suggestions:
    """``n`` points to try, given trials that ended (``observations``, to be minimized) and params of those that run.

    The same arguments give the same answer, and no history makes it raise. No point that was evaluated or is
    pending is suggested while the space has another one. Params that are no point of the space are passed over.

    ``number``: of the trial that the first suggestion is for; default: the count of trials so far.
    ``design_seed``: of the start-up sequence; default ``seed``.
    ``leave``: how many of the best points to leave to others that ask at this moment (after the start-up).
    ``fitted``: of the last answer; makes the fits several times faster.
    ``thrift``: from 0, where costs do not count, to 1, where the expected improvement a second is maximized.
    ``sources``: of other studies. The start-up is over when one of them is known to help.
    """
    domain = Domain.of(space)
    ended = [(o, x) for o in observations if (x := domain.point(o.params)) is not None]
    running = [x for params in pending if (x := domain.point(params)) is not None]
    if number is None:
        number = len(ended) + len(running)
    seen = {key(x) for x in chain((x for _, x in ended), running)}
    rng = np.random.default_rng([seed, number])
    sources = Sources(domain) if sources is None else sources
    told = [(o, x) for o, x in ended if is_informative(o)]
    data, tried = [o for o, _ in told], np.array([x for _, x in told]).reshape(len(told), len(space))
    enough = _is_enough(data, startup_trials, sources)
    knowledge = _learn(domain, data, tried, fitted, sources, thrift) if enough else None
    if knowledge is None or (len(data) < startup_trials and not knowledge.transfer.used):
        design = np.random.default_rng(seed if design_seed is None else design_seed)
        filling = tuple(_space_filling(domain, seen, n, number, design, rng, sources.best))
        return Suggestions(filling, knowledge=knowledge)
    improving = _improving(domain, knowledge, np.array(running).reshape(len(running), len(space)), seen, rng)
    params = tuple(islice(improving, leave, leave + n))
    prospect = knowledge.prospect(domain.encode(params[:1])) if params and knowledge.eligible.any() else None
    return Suggestions(params, knowledge.fitted, knowledge, prospect)


def _is_enough(data: Sequence[Observation], startup_trials: int, sources: Sources) -> bool:
    """Whether there is something to learn from."""
    measured = sum(map(is_measured, data))
    return measured > 0 and (len(data) >= startup_trials or (len(sources) > 0 and measured >= OWN_TRIALS))


@dataclass(frozen=True)
class Knowledge:
    """What was learned from n measured trials, their points (n, d) and outcomes.

    ``alone``: hyperparameters without sources. ``feasibility``: None where no trial has failed; ``cost``: and how much
    it counts. Without constraints every trial satisfies them.
    """

    domain: Domain
    data: Sequence[Observation]
    x: Points
    outcomes: Standardized
    alone: Hyperparameters
    transfer: Transfer
    feasibility: Feasibility | None
    constraints: Constraints
    cost: tuple[Cost, float] | None

    @property
    def surrogate(self) -> Surrogate:
        """With the sources that help."""
        return self.transfer.surrogate

    @property
    def fitted(self) -> Fitted:
        """See Suggestions."""
        failure = None if self.feasibility is None else self.feasibility.surrogate.hyperparameters
        return Fitted(self.alone, failure, self.transfer.fitted, self.constraints.hyperparameters)

    def goal(self, pending: Points, seed: int) -> Acquisition:
        """What the next point is to maximize, while trials at ``pending`` (p, d) run."""
        goal = self._feasible(self._improvement(torch.from_numpy(pending), seed))
        return goal if self.cost is None else ThriftyAcquisition(goal, *self.cost)

    def _improvement(self, pending: Tensor, seed: int) -> Acquisition:
        """On the best trial that satisfies the constraints; where there is none, on the trials that run."""
        if self.constraints.violation[self.incumbent] == 0.0:
            return acquisition(self.surrogate, self.outcomes.z[self.incumbent], pending, seed)
        # the worst outcome is no hurdle, but who runs is not to be repeated
        return acquisition(self.surrogate, self.outcomes.z.max(), pending, seed) if len(pending) else indifferent

    def _feasible(self, improvement: Acquisition) -> Acquisition:
        """Times the probability that a trial gives a value, and one that counts."""
        if self.feasibility is not None:
            improvement = FeasibleAcquisition(improvement, self.feasibility)
        return FeasibleAcquisition(improvement, self.constraints) if self.constraints.each else improvement

    @property
    def incumbent(self) -> int:
        """Row of the best outcome among those that violate the constraints least."""
        return int(np.lexsort((self.outcomes.z, self.constraints.violation))[0])

    @property
    def eligible(self) -> NDArray[np.bool_]:
        """(n,) which of them were trained to the end and satisfy the constraints."""
        pairs = zip(self.data, self.constraints.violation, strict=True)
        return np.array([observation.outcome is Outcome.OK and beyond == 0.0 for observation, beyond in pairs], bool)

    def prospect(self, x: Points) -> Prospect:
        """At one point (1, d), over the least posterior mean of the eligible ones: luck does not lower it."""
        with torch.no_grad():
            means, _ = self.surrogate.posterior(torch.from_numpy(self.x[self.eligible]))
        goal = self._feasible(LogEI(self.surrogate, means.min().item()))
        with torch.no_grad():
            gain = goal(torch.from_numpy(x)).exp().item()
        noise = math.sqrt(2 * self.surrogate.hyperparameters.noise)
        return Prospect(gain=self.outcomes.scale * gain, noise=self.outcomes.scale * noise)

    def posterior(self) -> dict[int, Estimate]:
        """See Suggestions.posterior."""
        surrogate = self._frank()
        with torch.no_grad():
            mean, variance = surrogate.posterior(torch.from_numpy(self.x))
        means = self.outcomes.restore(mean.numpy()).tolist()
        deviations = (self.outcomes.scale * variance.sqrt().numpy()).tolist()
        rows = zip(self.data, means, deviations, strict=True)
        return {o.number: Estimate(mean=mean, sem=deviation) for o, mean, deviation in rows if o.outcome is Outcome.OK}

    def _frank(self) -> Surrogate:
        """That does not take noise for signal; of the sources, where these help, which have more to tell them apart."""
        if self.transfer.used:
            return self.surrogate
        z, noise = self.outcomes.z, self.outcomes.noise
        hyperparameters = fit(self.domain, self.x, z, self.alone, noise, FRANK_RATE)
        return Surrogate.condition(self.domain, self.x, z, hyperparameters, noise)


def _learn(
    domain: Domain,
    data: Sequence[Observation],
    tried: Points,
    start: Fitted | None,
    sources: Sources,
    thrift: float,
) -> Knowledge:
    failed = np.array([not is_measured(observation) for observation in data])
    measured, x = [observation for observation in data if is_measured(observation)], tried[~failed]
    outcomes = standardize(measured)
    hyperparameters = fit(domain, x, outcomes.z, start.outcome if start else None, outcomes.noise)
    alone = Surrogate.condition(domain, x, outcomes.z, hyperparameters, outcomes.noise)
    transfer = sources.transfer(alone, Data(x, outcomes.z, outcomes.noise), start.with_sources if start else {})
    helping = sources.only(transfer.used)
    any_failed = failed.any() or any(source.failed.any() for source in helping.each)
    feasibility = Feasibility.learn(helping, tried, failed, start.failure if start else None) if any_failed else None
    constraints = Constraints.learn(domain, x, measured, start.constraints if start else ())
    cost = (Cost.learn(domain, tried, [each.seconds for each in data]), thrift) if thrift else None
    return Knowledge(domain, measured, x, outcomes, hyperparameters, transfer, feasibility, constraints, cost)


def _improving(
    domain: Domain, knowledge: Knowledge, pending: Points, seen: set[Key], rng: np.random.Generator
) -> Iterator[Params]:
    """The point of the highest expected improvement given what is pending, then the next one given that one too, ..."""
    best, lengthscales = knowledge.incumbent, knowledge.surrogate.lengthscales
    while True:
        goal = knowledge.goal(pending, int(rng.integers(2**31)))
        ranked = Search(goal, domain, lengthscales).ranked(knowledge.x[best], rng)
        params = _take(domain, ranked, seen, fallback=knowledge.x[best])
        yield params
        pending = np.vstack([pending, domain.encode([params])])


def _space_filling(
    domain: Domain,
    seen: set[Key],
    n: int,
    number: int,
    design: np.random.Generator,
    rng: np.random.Generator,
    first: Points,
) -> Iterator[Params]:
    """``first`` (S, d), then points of the shared sequence, from ``number`` on; where one was tried, any other."""
    if len(domain) == 0 or n == 0:
        yield from ({} for _ in range(n))
        return
    own = domain.canonical(domain.snap(sobol(len(domain), n, design, number)))
    own[: max(len(first) - number, 0)] = first[number : number + n]
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
