"""What to try next: a pure function from a history to params. Knows neither Optuna nor a database.

Start-up: points of one scrambled Sobol sequence, which all workers of a study share (``design_seed``), numbered
by trial, so that together they fill the space. Then: fit the surrogate to what is known and, once trials have failed,
another to where they fail, and one to the excess over each constraint and to each measurement that the outcome is
traded against; maximize the expected improvement on the best, or on the front where there are such measurements, given
what runs times the probabilities that the trial gives a value and that it satisfies the constraints; take the best
point that was not tried yet. Several suggestions at once, from one fit: each is pending for the next, which maximizes
their joint expected improvement greedily.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np

from hpo.records import Estimate, Observation, Prospect
from hpo.sampler.acqf_search import Search, first_unseen, sobol
from hpo.sampler.domain import Domain, Key, Points, key
from hpo.sampler.knowledge import Fitted, Knowledge, learn
from hpo.sampler.outcomes import is_informative, is_measured
from hpo.sampler.sources import OWN_TRIALS, Sources
from hpo.space import Params, Space

STARTUP_TRIALS = 8
SPARE = 128  # points to choose from where the start-up sequence meets one that was tried


@dataclass(frozen=True)
class Suggestions:
    """``params``: what to try, in this order.

    ``fitted``: where the next fits start; None during the start-up.
    ``knowledge``: what they come from; None during the start-up.
    ``prospect``: of the first of ``params``, see Knowledge.prospect; None during the start-up.
    """

    params: tuple[Params, ...]
    fitted: Fitted | None = None
    knowledge: Knowledge | None = field(default=None, compare=False)
    prospect: Prospect | None = None

    @cached_property
    def posterior(self) -> Mapping[int, Estimate]:
        """See Knowledge.posterior; the least mean is the incumbent. Empty where nothing was learned.

        Computed when it is asked for: a suggestion does not wait for it.
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
    ``thrift``: 0 where costs do not count; 1 where the expected improvement a second is maximized (see cost).
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
    knowledge = learn(domain, data, tried, fitted, sources, thrift) if enough else None
    if knowledge is None or (len(data) < startup_trials and not knowledge.transfer.used):
        design = np.random.default_rng(seed if design_seed is None else design_seed)
        filling = tuple(_space_filling(domain, seen, n, number, design, rng, sources.best))
        return Suggestions(filling, knowledge=knowledge)
    improving = _improving(domain, knowledge, np.array(running).reshape(len(running), len(space)), seen, rng)
    params = tuple(islice(improving, leave, leave + n))
    prospect = knowledge.prospect(domain.encode(params[:1])) if params else None
    return Suggestions(params, knowledge.fitted, knowledge, prospect)


def _is_enough(data: Sequence[Observation], startup_trials: int, sources: Sources) -> bool:
    """Whether there is something to learn from."""
    measured = sum(map(is_measured, data))
    return measured > 0 and (len(data) >= startup_trials or (len(sources) > 0 and measured >= OWN_TRIALS))


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
