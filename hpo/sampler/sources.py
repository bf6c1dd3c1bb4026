"""Trials of other studies as data of this one: each source with a discount that is learned, or not at all.

    S    sources, other studies whose trials are points of this one's space
    x    (n, d + S) a point, and whose it is: coordinate d + k is whether it is source k's
    z    (n,) outcomes, clipped and standardized within their own study: no scale or metric is an obstacle
    w_k  inverse squared lengthscale of coordinate d + k, a category of two values

So k(w_k) is the correlation of source k's function with this study's, learned like every other lengthscale: near 1 they
are one function, near 0 the source says nothing (its prior reaches from 0.98 to 0.01).

But lengthscales and noise are shared, and a source sets them even at a correlation of 0. So one is used only where this
study's outcomes are more likely given the source's and each other than given each other alone: by the log density of
each given all the others (Rasmussen & Williams 2006, eq. 5.10 to 5.12). With the noisy quadratic's sign turned as its
source, log10 regret after 40 evaluations rose by 0.57 where that was always used (four seeds), and by 0.19 ± 0.23 so
(eight).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.config.search import CategoricalDimension
from hpo.records import Observation
from hpo.sampler.density import NARROW_NOISE_RATE, NOISE_RATE
from hpo.sampler.domain import Domain, Points
from hpo.sampler.fit import fit
from hpo.sampler.outcomes import Values, is_informative, is_measured, standardize
from hpo.sampler.surrogate import Hyperparameters, Surrogate
from hpo.space import SearchDimension, Space

MOST_TRIALS = 200  # of all sources together: with 100 of one's own a fit takes as long as after 300 trials
# Measured ones, before a source can be told to help. With eight, log10 regret after ten evaluations with a near source
# is higher by 0.14 ± 0.11 (noisy quadratic) and 0.15 ± 0.09 (Hartmann6).
OWN_TRIALS = 3
_NO, _YES = 0.25, 0.75  # coordinates of a category of two values

Used = tuple[int, ...]  # which sources


@dataclass(frozen=True)
class Data:
    """Points (n, d), outcomes (n,) and their known variances (n,)."""

    x: Points
    z: Values
    noise: Values

    def surrogate(
        self, domain: Domain, start: Hyperparameters | None = None, noise_rate: float = NOISE_RATE
    ) -> Surrogate:
        """Fitted to it; ``start`` and ``noise_rate``: see fit.fit."""
        hyperparameters = fit(domain, self.x, self.z, start, self.noise, noise_rate)
        return Surrogate.condition(domain, self.x, self.z, hyperparameters, self.noise)


@dataclass(frozen=True)
class Source:
    """One study: the points of its m trials, which of them failed, and outcomes of those that did not."""

    domain: Domain
    tried: Points  # (m, d)
    failed: NDArray[np.bool_]  # (m,)
    measured: Data
    stated: Data  # the same, with what their standard errors leave uncertain

    @classmethod
    def of(cls, domain: Domain, observations: Sequence[Observation]) -> Source:
        """At least one of them is measured."""
        measured = [observation for observation in observations if is_measured(observation)]
        failed = np.array([not is_measured(observation) for observation in observations], bool)
        tried = domain.encode([observation.params for observation in observations])
        outcomes = standardize(measured)
        datas = (Data(tried[~failed], outcomes.z, noise) for noise in (outcomes.noise, outcomes.stated_noise))
        return cls(domain, tried, failed, *datas)

    @cached_property
    def best(self) -> Points:
        """(d,) its likely best point, as its study states it."""
        surrogate = self.stated.surrogate(self.domain, noise_rate=NARROW_NOISE_RATE)
        with torch.no_grad():
            mean, _ = surrogate.posterior(torch.from_numpy(self.measured.x))
        return np.asarray(self.measured.x[int(mean.argmin())])


@dataclass(frozen=True)
class Transfer:
    """What the sources came to: a surrogate of this study's points, and where the next fits start."""

    surrogate: Surrogate
    used: Used = ()
    fitted: Mapping[Used, Hyperparameters] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """All sources of a study with this domain."""

    domain: Domain
    each: tuple[Source, ...] = ()

    @classmethod
    def of(cls, domain: Domain, observations: Sequence[Sequence[Observation]]) -> Sources:
        """From the trials of each study, to be minimized; those that say nothing about the space are passed over."""
        told = [[o for o in study if is_informative(o) and domain.contains(o.params)] for study in observations]
        telling = [study for study in told if any(map(is_measured, study))] if len(domain) else []
        return cls(domain, tuple(Source.of(domain, _thinned(study, MOST_TRIALS // len(telling))) for study in telling))

    def __len__(self) -> int:
        return len(self.each)

    @property
    def best(self) -> Points:
        """(S, d) the likely best point of each."""
        return np.array([source.best for source in self.each]).reshape(len(self), len(self.domain))

    def only(self, used: Used) -> Sources:
        """Some of them."""
        return Sources(self.domain, tuple(self.each[k] for k in used))

    def transfer(self, alone: Surrogate, own: Data, start: Mapping[Used, Hyperparameters]) -> Transfer:
        """``alone`` is fitted to this study's ``own`` data, and stays where no source helps."""
        if not self.each or len(own.z) < OWN_TRIALS:
            return Transfer(alone)
        one_by_one = [self._outcomes((k,), own, start) for k in range(len(self))]
        enough = _leave_one_out(alone, len(own.z))
        used = tuple(k for k, joint in enumerate(one_by_one) if _leave_one_out(joint, len(own.z)) > enough)
        joints: dict[Used, Surrogate] = {(): alone} | {(k,): joint for k, joint in enumerate(one_by_one)}
        surrogate = joints[used] if used in joints else self._outcomes(used, own, start)
        fitted = {of: joint.hyperparameters for of, joint in (joints | {used: surrogate}).items()}
        return Transfer(surrogate, used, fitted)

    def _outcomes(self, used: Used, own: Data, start: Mapping[Used, Hyperparameters]) -> Surrogate:
        helping = self.only(used)
        return helping.surrogate(own, [source.measured for source in helping.each], start.get(used))

    def surrogate(self, own: Data, others: Sequence[Data], start: Hyperparameters | None = None) -> Surrogate:
        """Of this study's points, fitted to its own data and to that of each source."""
        x = [self._flagged(own.x, None), *(self._flagged(other.x, k) for k, other in enumerate(others))]
        z, noise = ([getattr(data, name) for data in (own, *others)] for name in ("z", "noise"))
        joint = Data(np.vstack(x), np.concatenate(z), np.concatenate(noise)).surrogate(self._joint, start)
        return replace(joint, embedding=_Own(joint.embedding, len(self)))

    @cached_property
    def _joint(self) -> Domain:
        """Of points and whose they are."""
        whose = CategoricalDimension(type="categorical", choices=[False, True])
        flags = [SearchDimension(f"is of source {k}", whose, {}) for k in range(len(self))]
        grids = (*self.domain.grids, *(np.array([_NO, _YES]) for _ in flags))
        return Domain(Space((*self.domain.space.dimensions, *flags)), grids, self.domain.parents)

    def _flagged(self, x: Points, source: int | None) -> Points:
        flags = np.full((len(x), len(self)), _NO)
        if source is not None:
            flags[:, source] = _YES
        return np.hstack([x, flags])


@dataclass(frozen=True)
class _Own:
    """Embedding of this study's points (..., d) among those of all."""

    embedding: Callable[[Tensor], Tensor]
    sources: int

    def __call__(self, x: Tensor) -> Tensor:
        return self.embedding(torch.nn.functional.pad(x, (0, self.sources), value=_NO))


def _leave_one_out(surrogate: Surrogate, n: int) -> float:
    """Log density of each of the first n outcomes given all the others, added up, less n/2 log 2 pi."""
    root = surrogate.inverse_root
    precision = root.square().sum(0)[:n]  # diagonal of K^-1
    error = (root.mT @ surrogate.whitened)[:n] / precision
    return float((precision.log() - error.square() * precision).sum() / 2)


def _thinned(observations: Sequence[Observation], most: int) -> Sequence[Observation]:
    """At most so many, spread evenly over the ranks, the best among them; failures count as the last."""
    if len(observations) <= most:
        return observations
    ranked = sorted(observations, key=lambda o: (not is_measured(o), o.value or 0.0, o.number))
    return [ranked[i] for i in np.linspace(0, len(ranked) - 1, max(most, 1)).round().astype(int)]
