"""What a study's trials have taught: surrogates of the outcome, of what it is traded against, of
failures and of each constraint, and the cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.records import Estimate, Observation, Outcome, Prospect
from hpo.sampler.acquisition import Acquisition, LogEI, acquisition
from hpo.sampler.constraints import Constraints, indifferent
from hpo.sampler.cost import Cost, ThriftyAcquisition
from hpo.sampler.density import BROAD_NOISE_RATE, NARROW_NOISE_RATE
from hpo.sampler.domain import Domain, Points
from hpo.sampler.feasibility import Feasibility, FeasibleAcquisition
from hpo.sampler.fit import draw, fit
from hpo.sampler.hypervolume import LogEHVI, Tradeoff, reference_point
from hpo.sampler.outcomes import Standardized, is_measured, standardize
from hpo.sampler.sources import Data, Sources, Transfer, Used
from hpo.sampler.surrogate import Hyperparameters, Surrogate

MOST_DRAWN = 200  # trials: by more of them hyperparameters are known well, and a draw costs as much as the search


@dataclass(frozen=True)
class Fitted:
    """Hyperparameters of the surrogate, alone and with sources; of where trials fail, None where none has; of each
    constraint; and of each measurement that the outcome is traded against.
    """

    outcome: Hyperparameters
    failure: Hyperparameters | None
    with_sources: Mapping[Used, Hyperparameters] = field(default_factory=dict)
    constraints: tuple[Hyperparameters, ...] = ()
    against: tuple[Hyperparameters, ...] = ()


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
    tradeoff: Tradeoff
    cost: tuple[Cost, float] | None

    @property
    def surrogate(self) -> Surrogate:
        """With the sources that help."""
        return self.transfer.surrogate

    @property
    def fitted(self) -> Fitted:
        """See Suggestions."""
        failure = None if self.feasibility is None else self.feasibility.surrogate.hyperparameters
        each, against = self.constraints.hyperparameters, self.tradeoff.hyperparameters
        return Fitted(self.alone, failure, self.transfer.fitted, each, against)

    def goal(self, pending: Points, seed: int) -> Acquisition:
        """What the next point is to maximize, while trials at ``pending`` (p, d) run."""
        goal = self._feasible(self._improvement(torch.from_numpy(pending), seed))
        return goal if self.cost is None else ThriftyAcquisition(goal, *self.cost)

    def _improvement(self, pending: Tensor, seed: int) -> Acquisition:
        """On the trials that satisfy the constraints: on their front, where the outcome is traded against something, or
        on the likely best; where there are none, on the trials that run.
        """
        if self.tradeoff.surrogates and (self.eligible & self.tradeoff.measured).any():
            return self._front_improvement(pending, seed)
        if (self.constraints.violation == 0.0).any():
            drawn = self._drawn(np.random.default_rng(seed))
            return acquisition(drawn, self._best_mean(drawn), pending, seed)
        # the worst outcome is no hurdle, but who runs is not to be repeated
        return acquisition(self.surrogate, self.outcomes.z.max(), pending, seed) if len(pending) else indifferent

    def _drawn(self, rng: np.random.Generator) -> Surrogate:
        """With hyperparameters as likely as any: see fit.py. Sources, where these help, leave little doubt of them."""
        if self.transfer.used or len(self.x) > MOST_DRAWN:
            return self.surrogate
        z, noise = self.outcomes.z, self.outcomes.noise
        return Surrogate.condition(self.domain, self.x, z, draw(self.domain, self.x, z, self.alone, rng, noise), noise)

    def _front_improvement(self, pending: Tensor, seed: int) -> Acquisition:
        surrogates, measured = [self.surrogate, *self.tradeoff.surrogates], self.tradeoff.measured
        tried, ended = (torch.from_numpy(self.x[rows]) for rows in (measured, measured & self.eligible))
        return LogEHVI.of(surrogates, reference_point(surrogates, tried), ended, pending, seed)

    def _best_mean(self, surrogate: Surrogate) -> float:
        """Least posterior mean of the trials that satisfy the constraints, of the finished ones if there are any.

        Luck does not lower it, and a lucky value is no hurdle for the search. With the prior of the noise that goes
        with it (density.NOISE_RATE) log10 regret after 60 evaluations is less by 0.12 +- 0.06 than on the least
        outcome (13 problems, two to three seeds): by 0.5 on the noisiest of them, nowhere more.
        """
        rows = self.eligible if self.eligible.any() else self.constraints.violation == 0.0
        with torch.no_grad():
            means, _ = surrogate.posterior(torch.from_numpy(self.x[rows]))
        return means.min().item()

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

    def prospect(self, x: Points) -> Prospect | None:
        """At one point (1, d), over the likely best of the eligible ones.

        None where there are none, and where the outcome is traded against something: a volume is no gain that the noise
        of the outcome could be compared with.
        """
        if self.tradeoff.surrogates or not self.eligible.any():
            return None
        goal = self._feasible(LogEI(self.surrogate, self._best_mean(self.surrogate)))
        with torch.no_grad():
            gain = goal(torch.from_numpy(x)).exp().item()
        noise = math.sqrt(2 * self.surrogate.hyperparameters.noise)
        return Prospect(gain=self.outcomes.scale * gain, noise=self.outcomes.scale * noise)

    def posterior(self) -> dict[int, Estimate]:
        """Trial number -> mean and standard deviation of the noiseless function, on the study's scale.

        Of every trial that finished with a finite value (a pruned one did not finish), knowing their standard errors.
        It is as uncertain as a process says that does not take noise for signal, and as the two differ. In 50 studies
        of 60 recorded trainings with noise of 0.05 the likely best was truly 1.335, the luckiest 1.339, and the truth
        in the 90% interval in 84%. A search with the standard errors found less, by 0.012.
        """
        x, one, broad = torch.from_numpy(self.x), self._stated(NARROW_NOISE_RATE), self._stated(BROAD_NOISE_RATE)
        with torch.no_grad():
            mean, _ = one.posterior(x)
            broad_mean, variance = broad.posterior(x)
        means = self.outcomes.restore(mean.numpy()).tolist()
        deviations = (self.outcomes.scale * (variance + (broad_mean - mean).square()).sqrt().numpy()).tolist()
        rows = zip(self.data, means, deviations, strict=True)
        return {o.number: Estimate(mean=mean, sem=deviation) for o, mean, deviation in rows if o.outcome is Outcome.OK}

    def _stated(self, noise_rate: float) -> Surrogate:
        """That of the sources, where these help, has more to tell noise by."""
        if self.transfer.used:
            return self.surrogate
        z, noise = self.outcomes.z, self.outcomes.stated_noise
        hyperparameters = fit(self.domain, self.x, z, self.alone, noise, noise_rate)
        return Surrogate.condition(self.domain, self.x, z, hyperparameters, noise)


def learn(
    domain: Domain,
    data: Sequence[Observation],
    tried: Points,
    start: Fitted | None,
    sources: Sources,
    thrift: float,
) -> Knowledge:
    """From informative trials at ``tried`` (m, d), of which at least one is measured; the rest: see suggest."""
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
    tradeoff = Tradeoff.learn(domain, x, measured, start.against if start else ())
    cost = (Cost.learn(domain, tried, [each.seconds for each in data]), thrift) if thrift else None
    return Knowledge(domain, measured, x, outcomes, hyperparameters, transfer, feasibility, constraints, tradeoff, cost)
