"""What other studies' trials teach, and what they must not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.config.search import FloatDimension
from hpo.records import Observation, Outcome
from hpo.sampler.domain import Domain
from hpo.sampler.feasibility import Feasibility
from hpo.sampler.fit import fit
from hpo.sampler.kernel import matern52
from hpo.sampler.sources import MOST_TRIALS, Data, Sources, _leave_one_out
from hpo.sampler.suggest import Suggestions, suggest
from hpo.sampler.surrogate import Hyperparameters, Surrogate
from hpo.space import Params, Space
from tests.sampler.test_suggest import histories, laws


def loss(params: Params) -> float:
    """Least at a = 0.7, b = 0.2, c = y."""
    return (float(params["a"]) - 0.7) ** 2 + (float(params["b"]) - 0.2) ** 2 + 0.3 * (params["c"] != "y")


def observed(space: Space, count: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> list[Observation]:
    rng = np.random.default_rng(seed)
    each = [space.decode(rng.random(len(space))) for _ in range(count)]
    return [
        Observation(number=i, params=params, outcome=Outcome.OK, value=shift + scale * loss(params))
        for i, params in enumerate(each)
    ]


def failures(space: Space, count: int, seed: int) -> list[Observation]:
    """Where a > 0.5."""
    return [
        one.model_copy(update={"outcome": Outcome.DIVERGED, "value": None}) if float(one.params["a"]) > 0.5 else one
        for one in observed(space, count, seed)
    ]


def asked(space: Space, observations: list[Observation], *studies: list[Observation], **options: int) -> Suggestions:
    return suggest(space, observations, sources=Sources.of(Domain.of(space), studies), **options)


def correlation(suggestions: Suggestions, source: int = 0) -> float:
    assert suggestions.fitted is not None
    w = suggestions.fitted.with_sources[source,].w[-1]
    return float(matern52(torch.tensor([w], dtype=torch.float64)))


def played(space: Space, count: int, seed: int, *studies: list[Observation]) -> list[float]:
    """Losses of a study that is searched with these sources."""
    sources, observations, fitted = Sources.of(Domain.of(space), studies), [], None
    for number in range(count):
        found = suggest(space, observations, seed=seed, number=number, sources=sources, fitted=fitted)
        params, fitted = found.params[0], found.fitted
        observations.append(Observation(number=number, params=params, outcome=Outcome.OK, value=loss(params)))
    return [loss(one.params) for one in observations]


def test_a_related_study_shortens_the_search(plain: Space) -> None:
    related = observed(plain, 25, 2, scale=30.0, shift=-4.0)
    with_it, alone = ([min(played(plain, 6, seed, *studies)) for seed in range(4)] for studies in ([related], []))
    assert np.log10(with_it).mean() < np.log10(alone).mean() - 0.5


def test_what_is_learned_of_it(plain: Space) -> None:
    observations = observed(plain, 10, 1)
    found = asked(plain, observations, observed(plain, 25, 2, scale=30.0, shift=-4.0))
    assert correlation(found) > 0.9
    assert loss(found.params[0]) < 0.02
    means = {number: estimate.mean for number, estimate in found.posterior.items()}
    assert means == pytest.approx({o.number: o.value for o in observations}, abs=0.05)
    assert correlation(asked(plain, observations, observed(plain, 40, 2, scale=-1.0))) < 0.2


def test_a_study_that_misleads_changes_nothing(plain: Space) -> None:
    """Its best is this one's worst."""
    observations, opposite = observed(plain, 6, 1), observed(plain, 40, 2, scale=-1.0)
    assert asked(plain, observations, opposite).params == suggest(plain, observations).params
    alone, with_it = (
        suggest(plain, observations, startup_trials=4, sources=Sources.of(Domain.of(plain), studies))
        for studies in ([], [opposite])
    )
    assert with_it.params == alone.params
    assert with_it.posterior == alone.posterior


def test_of_two_studies_the_one_that_misleads_is_left_out(plain: Space) -> None:
    good, bad = observed(plain, 25, 2, scale=9.0), observed(plain, 25, 3, scale=-1.0)
    observations = observed(plain, 6, 1)
    both, one = asked(plain, observations, bad, good), asked(plain, observations, good)
    assert both.params == one.params
    assert loss(both.params[0]) < 0.02


def test_two_studies_that_help_are_used_together(plain: Space) -> None:
    found = asked(plain, observed(plain, 5, 1), observed(plain, 12, 2, scale=9.0), observed(plain, 12, 3, shift=1.0))
    assert found.fitted is not None
    assert len(found.fitted.with_sources[0, 1].w) == len(plain) + 2
    again = suggest(
        plain,
        observed(plain, 5, 1),
        sources=Sources.of(Domain.of(plain), [observed(plain, 12, 2, scale=9.0), observed(plain, 12, 3, shift=1.0)]),
        fitted=found.fitted,
    )
    assert loss(found.params[0]) < 0.02
    assert loss(again.params[0]) < 0.02


def test_the_scale_of_a_source_is_nothing(plain: Space) -> None:
    observations = observed(plain, 4, 1)
    one, other = (asked(plain, observations, observed(plain, 20, 2, 4.0**k, k)) for k in (0, 3))
    assert plain.encode(one.params[0]) == pytest.approx(plain.encode(other.params[0]), abs=1e-3)


def test_the_start_up_begins_with_the_best_of_each_source(plain: Space) -> None:
    """Then comes the shared sequence, and it goes on while nothing is known to help."""
    studies = [observed(plain, 20, seed) for seed in (2, 3)]
    bests = [min(study, key=lambda o: o.value or 0.0).params for study in studies]
    domain = Domain.of(plain)
    sources, design = Sources.of(domain, studies), suggest(plain, [], n=5, seed=4).params
    together = suggest(plain, [], n=5, seed=4, sources=sources).params
    assert together == (*bests, *design[2:])
    apart = [suggest(plain, [], seed=4, number=k, sources=sources).params[0] for k in range(5)]
    assert apart == list(together)
    one_is_taken = suggest(plain, [], [bests[0]], seed=4, number=0, sources=sources).params[0]
    assert one_is_taken not in bests


def test_three_trials_have_to_be_measured(plain: Space) -> None:
    good = observed(plain, 25, 2)
    lost = [one.model_copy(update={"outcome": Outcome.DIVERGED, "value": None}) for one in observed(plain, 3, 5)]
    for observations in (observed(plain, 2, 1), observed(plain, 2, 1) + lost):
        assert asked(plain, observations, good).fitted is None


def test_where_a_source_failed_is_learned_too(plain: Space) -> None:
    domain, told = Domain.of(plain), failures(plain, 8, 1)
    x, failed = domain.encode([one.params for one in told]), np.array([one.value is None for one in told])
    at = domain.canonical(domain.snap(np.random.default_rng(5).random((200, 3))))
    errors = []
    for studies in ([], [failures(plain, 40, 2)]):
        log_p = Feasibility.learn(Sources.of(domain, studies), x, failed).log_probability(torch.from_numpy(at))
        errors.append(float((log_p.exp() - torch.from_numpy(at[:, 0] <= 0.5).double()).abs().mean()))
    assert errors[1] < errors[0] / 2


def test_most_trials_are_kept_evenly_by_rank(plain: Space) -> None:
    many = failures(plain, 2 * MOST_TRIALS + 100, 2)
    (source,) = Sources.of(Domain.of(plain), [many]).each
    assert len(source.tried) == MOST_TRIALS
    assert source.failed.mean() == pytest.approx(np.mean([one.value is None for one in many]), abs=0.01)
    best = min((one for one in many if one.value is not None), key=lambda one: one.value or 0.0)
    assert (source.measured.x == plain.encode(best.params)).all(1).any()
    halves = Sources.of(Domain.of(plain), [many, many]).each
    assert [len(half.tried) for half in halves] == [MOST_TRIALS // 2] * 2


def test_a_study_that_says_nothing_is_passed_over(plain: Space, mixed: Space) -> None:
    lost = [one.model_copy(update={"outcome": Outcome.DIVERGED, "value": None}) for one in observed(plain, 9, 1)]
    domain = Domain.of(mixed)
    assert len(Sources.of(domain, [observed(plain, 9, 1), [], lost])) == 0
    assert len(Sources.of(Domain.of(plain), [observed(plain, 9, 1), [], lost])) == 1
    assert len(Sources.of(Domain.of(Space(())), [[Observation(number=0, params={}, outcome="ok", value=1.0)]])) == 0


def test_the_density_of_each_given_the_others(plain: Space) -> None:
    """As by leaving each out in turn."""
    domain, hyperparameters = Domain.of(plain), Hyperparameters((2.0, 0.5, 1.0), 1.3, 0.1)
    rng = np.random.default_rng(0)
    x, z = domain.canonical(domain.snap(rng.random((7, 3)))), rng.normal(size=7)
    total = 0.0
    for i in range(3):
        rest = np.arange(7) != i
        mean, variance = Surrogate.condition(domain, x[rest], z[rest], hyperparameters).posterior(
            torch.from_numpy(x[i : i + 1])
        )
        spread = float(variance) + hyperparameters.noise
        total += -0.5 * math.log(spread) - 0.5 * (z[i] - float(mean)) ** 2 / spread
    assert _leave_one_out(Surrogate.condition(domain, x, z, hyperparameters), 3) == pytest.approx(total)


def test_without_sources_it_is_the_plain_surrogate(mixed: Space) -> None:
    domain, rng = Domain.of(mixed), np.random.default_rng(0)
    x, z = domain.canonical(domain.snap(rng.random((9, len(mixed))))), rng.normal(size=9)
    plain = Surrogate.condition(domain, x, z, fit(domain, x, z))
    other = Sources(domain).surrogate(Data(x, z, np.zeros(9)), [])
    assert other.hyperparameters == plain.hyperparameters
    for one, two in zip(plain.posterior(torch.from_numpy(x)), other.posterior(torch.from_numpy(x)), strict=True):
        assert torch.equal(one, two)


@settings(laws, max_examples=30)
@given(st.data(), histories(), st.integers(1, 3))
def test_no_history_of_sources_makes_it_raise(
    data: st.DataObject, history: tuple[Space, list[Observation], list[Params]], n: int
) -> None:
    space, observations, pending = history
    domain = Domain.of(space)
    studies = data.draw(st.lists(st.lists(st.sampled_from(observations or [STRANGE])), max_size=3))
    sources = Sources.of(domain, [[*study, STRANGE] for study in studies])
    found = suggest(space, observations, pending, n, startup_trials=4, sources=sources)
    assert len(found.params) == n
    assert all(domain.contains(params) for params in found.params)
    assert {*found.posterior} <= {one.number for one in observations}
    assert suggest(space, observations, pending, n, startup_trials=4, sources=sources) == found
    assert suggest(space, observations, pending, n, startup_trials=4, sources=sources, fitted=found.fitted).params


STRANGE = Observation(number=0, params={"elsewhere": 1.0}, outcome=Outcome.OK, value=1.0)


def test_a_narrow_dimension_is_served() -> None:
    space = Space.from_search({"p": FloatDimension(type="float", low=0.0, high=0.0)})
    told = [Observation(number=i, params={"p": 0.0}, outcome=Outcome.OK, value=1.0) for i in range(4)]
    assert asked(space, told, told).params == ({"p": 0.0},)
