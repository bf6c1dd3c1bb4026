"""Laws of ``suggest`` over random spaces and random histories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo.config.search import CategoricalDimension, Dimension, FloatDimension, IntDimension
from hpo.records import Observation, Outcome
from hpo.sampler.domain import Domain
from hpo.sampler.outcomes import standardize
from hpo.sampler.suggest import suggest
from hpo.sampler.surrogate import Surrogate
from hpo.space import Params, Space

laws = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def dimensions(draw: st.DrawFn, when: dict[str, list[Any]]) -> Dimension:
    match draw(st.sampled_from(["float", "log", "step", "int", "logint", "one", "category"])):
        case "float":
            low = draw(st.floats(-1e3, 1e3))
            return FloatDimension(type="float", low=low, high=low + draw(st.sampled_from([0.0, 1e-3, 1.0])), when=when)
        case "log":
            return FloatDimension(type="float", low=1e-5, high=1.0, log=True, when=when)
        case "step":
            step = draw(st.sampled_from([0.1, 0.25, 0.3]))
            return FloatDimension(type="float", low=0.0, high=1.0, step=step, when=when)
        case "int":
            return IntDimension(type="int", low=-2, high=draw(st.integers(-2, 40)), when=when)
        case "logint":
            return IntDimension(type="int", low=1, high=draw(st.integers(1, 200)), log=True, when=when)
        case "one":
            return CategoricalDimension(type="categorical", choices=["only"], when=when)
        case _:
            choices = draw(st.sampled_from([["a", "b"], [True, False], [1, 2.5, "x"]]))
            return CategoricalDimension(type="categorical", choices=choices, when=when)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    search: dict[str, Dimension] = {}
    for i in range(draw(st.integers(1, 4))):
        parents = [name for name, parent in search.items() if isinstance(parent, CategoricalDimension)]
        parent = draw(st.sampled_from([None, *parents]))
        search[f"p{i}"] = draw(dimensions({} if parent is None else {parent: search[parent].choices[:1]}))  # type: ignore[union-attr]
    return Space.from_search(search)


values = st.one_of(
    st.none(), st.floats(-10, 10), st.just(1.0), st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300])
)
outcomes = st.sampled_from([*[Outcome.OK] * 6, *Outcome])


excesses = st.one_of(
    st.floats(-3, 3), st.just(-0.5), st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e300, -1e300, 5e-324])
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Space, list[Observation], list[Params]]:
    space = draw(spaces())
    coordinate = st.lists(st.floats(0, 1), min_size=len(space), max_size=len(space))
    point = coordinate.map(lambda u: space.decode(np.array(u)))
    constraints = draw(st.integers(0, 2))
    excess = st.one_of(st.just(()), st.lists(excesses, min_size=constraints, max_size=constraints).map(tuple))
    measurements = draw(st.integers(0, 2))
    logarithms = st.lists(excesses, min_size=measurements, max_size=measurements).map(tuple)
    tried = draw(st.lists(st.tuples(point, outcomes, values, excess, st.one_of(st.just(()), logarithms)), max_size=14))
    observations = [
        Observation(
            number=i, params=params, outcome=_possible(outcome, value), value=value, excess=beyond, against=against
        )
        for i, (params, outcome, value, beyond, against) in enumerate(tried)
    ]
    return space, observations, draw(st.lists(point, max_size=3))


def _possible(outcome: Outcome, value: float | None) -> Outcome:
    """A trial without a finite value is not ok."""
    return Outcome.PRUNED if outcome is Outcome.OK and (value is None or not math.isfinite(value)) else outcome


@laws
@given(histories(), st.integers(1, 3), st.integers(0, 2**31 - 1))
def test_suggestions_are_valid_new_and_reproducible(
    history: tuple[Space, list[Observation], list[Params]], n: int, seed: int
) -> None:
    space, observations, pending = history
    state = torch.random.get_rng_state()
    suggestions = suggest(space, observations, pending, n, seed, startup_trials=4)
    domain = Domain.of(space)
    assert len(suggestions.params) == n
    assert all(domain.contains(params) for params in suggestions.params)
    seen = {domain.key(params) for params in [*(o.params for o in observations), *pending]}
    for params in suggestions.params:
        fresh = domain.key(params) not in seen
        assert fresh or sum(1 for _ in _unseen(domain, seen)) == 0
        seen.add(domain.key(params))
    again = suggest(space, observations, pending, n, seed, startup_trials=4)
    assert again == suggestions
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(found.is_finite for found in suggestions.posterior.values())
    satisfying = _satisfying(observations) & set(suggestions.posterior)
    is_tradeoff = suggestions.knowledge is not None and bool(suggestions.knowledge.tradeoff.surrogates)
    assert (suggestions.prospect is None) == (not satisfying or is_tradeoff or n == 0)
    assert suggestions.prospect is None or 0 <= suggestions.prospect.gain < math.inf


def _satisfying(observations: list[Observation]) -> set[int]:
    """Where nothing is constrained, all; whose excess nobody knows does not count else."""
    informative = [o for o in observations if o.outcome in (Outcome.OK, Outcome.PRUNED) and o.value is not None]
    count = max((len(o.excess) for o in informative if math.isfinite(o.value or 0.0)), default=0)
    return {o.number for o in observations if len(o.excess) == count and all(beyond <= 0 for beyond in o.excess)}


def _unseen(domain: Domain, seen: set[bytes]) -> Any:
    return (x for x in domain.enumerate() if domain.key(domain.space.decode(x)) not in seen)


def _observe(space: Space, count: int, seed: int = 0) -> list[Observation]:
    rng = np.random.default_rng(seed)
    params = [space.decode(rng.random(len(space))) for _ in range(count)]
    return [
        Observation(number=i, params=p, outcome=Outcome.OK, value=float(np.nansum((space.encode(p) - 0.3) ** 2)))
        for i, p in enumerate(params)
    ]


def test_pending_points_change_the_suggestion(mixed: Space) -> None:
    observations = _observe(mixed, 20)
    (first,) = suggest(mixed, observations, number=20).params
    (second,) = suggest(mixed, observations, [first], number=20).params
    domain = Domain.of(mixed)
    x, y = domain.encode([first, second])
    assert np.isnan(x).sum() != np.isnan(y).sum() or np.nanmax(np.abs(x - y)) > 0.02


def test_several_at_once_are_spread(mixed: Space) -> None:
    params = suggest(mixed, _observe(mixed, 20), n=5).params
    x = np.nan_to_num(Domain.of(mixed).encode(params), nan=-1)
    distances = np.abs(x[:, None] - x).max(-1) + np.eye(5)
    assert distances.min() > 0.02


def test_the_best_points_can_be_left_to_others(plain: Space) -> None:
    observations = _observe(plain, 12)
    three = suggest(plain, observations, n=3).params
    assert suggest(plain, observations, leave=2).params == three[2:]


def test_the_order_of_the_history_does_not_matter(plain: Space) -> None:
    observations = _observe(plain, 15)
    forward = suggest(plain, observations)
    backward = suggest(plain, observations[::-1])
    assert forward.fitted is not None
    assert backward.fitted is not None
    np.testing.assert_allclose(np.log(forward.fitted.outcome.w), np.log(backward.fitted.outcome.w), atol=1e-3)
    x, y = Domain.of(plain).encode([forward.params[0], backward.params[0]])
    np.testing.assert_allclose(x, y, atol=1e-2)


def test_the_start_up_is_one_sequence_however_it_is_asked_for(mixed: Space) -> None:
    together = suggest(mixed, [], n=6, seed=3).params
    one_by_one: list[Params] = []
    for i in range(6):
        # other seeds: the workers of a study
        one_by_one += suggest(mixed, [], one_by_one, seed=i, design_seed=3).params
    assert tuple(one_by_one) == together


def test_the_start_up_fills_the_space() -> None:
    space = Space.from_search({"a": FloatDimension(type="float", low=0.0, high=1.0)})
    values = sorted(float(p["a"]) for p in suggest(space, [], n=8).params)
    assert all(int(v * 8) == i for i, v in enumerate(values))


def test_failures_alone_keep_the_start_up_going(mixed: Space) -> None:
    failed = [o.model_copy(update={"outcome": Outcome.DIVERGED, "value": None}) for o in _observe(mixed, 20)]
    suggestions = suggest(mixed, failed)
    assert suggestions.fitted is None
    assert suggestions.posterior == {}
    assert suggestions.prospect is None


def test_a_region_of_failures_is_avoided() -> None:
    space = Space.from_search({"a": FloatDimension(type="float", low=0.0, high=1.0)})
    good = [
        Observation(number=i, params={"a": a}, outcome=Outcome.OK, value=1 - a) for i, a in enumerate([0, 0.2, 0.4])
    ]
    bad = [
        Observation(number=3 + i, params={"a": a}, outcome=Outcome.DIVERGED)
        for i, a in enumerate([0.6, 0.75, 0.9, 1.0])
    ]
    (params,) = suggest(space, good + bad, startup_trials=5).params
    assert 0.3 < float(params["a"]) < 0.6


def test_failures_are_no_numbers(plain: Space) -> None:
    """They do not move the posterior mean of those that finished."""
    observations = _observe(plain, 20)
    failed = [
        Observation(number=20 + i, params={"a": 0.99, "b": b, "c": "z"}, outcome=Outcome.DIVERGED)
        for i, b in enumerate((0.1, 0.5, 0.9))
    ]
    assert suggest(plain, observations + failed).posterior == suggest(plain, observations).posterior


def test_the_fit_of_the_failures_is_warm(plain: Space) -> None:
    failed = Observation(number=20, params={"a": 0.99, "b": 0.5, "c": "z"}, outcome=Outcome.OUT_OF_MEMORY)
    observations = _observe(plain, 20)
    first = suggest(plain, observations)
    assert first.fitted is not None
    assert first.fitted.failure is None
    second = suggest(plain, [*observations, failed], fitted=first.fitted)
    assert second.fitted is not None
    assert second.fitted.failure is not None
    third = suggest(plain, [*observations, failed], fitted=second.fitted)
    assert third.fitted is not None
    assert third.fitted.failure is not None
    np.testing.assert_allclose(np.log(third.fitted.failure.w), np.log(second.fitted.failure.w), atol=0.2)


def test_an_exhausted_space_repeats_and_an_empty_one_is_served(plain: Space) -> None:
    space = Space.from_search({"n": IntDimension(type="int", low=1, high=3)})
    observations = [Observation(number=n, params={"n": n}, outcome=Outcome.OK, value=float(n)) for n in (1, 2, 3)]
    assert suggest(space, observations[:2], startup_trials=2).params == ({"n": 3},)
    assert suggest(space, observations[:2], startup_trials=9).params == ({"n": 3},)
    for startup in (2, 9):
        assert suggest(space, observations, startup_trials=startup).params[0]["n"] in (1, 2, 3)
    assert suggest(Space(()), [], n=2).params == ({}, {})
    assert suggest(plain, [], n=0).params == ()


def test_params_of_another_space_are_passed_over(plain: Space) -> None:
    alien = Observation(number=0, params={"a": 7.0}, outcome=Outcome.OK, value=0.0)
    observations = [o.model_copy(update={"number": o.number + 1}) for o in _observe(plain, 10)]
    assert suggest(plain, [alien, *observations], number=11).params == suggest(plain, observations, number=11).params


def test_posterior_means_are_near_smooth_outcomes_on_the_same_scale(plain: Space) -> None:
    observations = [o.model_copy(update={"value": 1000 + 50 * (o.value or 0.0)}) for o in _observe(plain, 30)]
    lost = Observation(number=30, params=observations[0].params, outcome=Outcome.LOST, value=0.0)
    pruned = Observation(number=31, params={"a": 0.9, "b": 0.9, "c": "z"}, outcome=Outcome.PRUNED, value=1060.0)
    posterior = suggest(plain, [*observations, lost, pruned]).posterior
    assert set(posterior) == set(range(30))
    measured = np.array([o.value for o in observations], float)
    calm = measured <= np.median(measured)
    np.testing.assert_allclose(np.array([posterior[i].mean for i in range(30)])[calm], measured[calm], atol=2.0)


def test_repeated_observations_make_their_point_surer(plain: Space) -> None:
    """The deviation is the noiseless function's, so it falls with every repetition."""
    rng = np.random.default_rng(0)
    observations = [o.model_copy(update={"value": rng.normal()}) for o in _observe(plain, 10)]
    repeats = [observations[3].model_copy(update={"number": 10 + i, "value": rng.normal()}) for i in range(20)]
    posterior = suggest(plain, observations + repeats).posterior
    assert posterior[3].sem < 0.5 * min(posterior[i].sem for i in range(10) if i != 3)
    assert all(abs(posterior[10 + i].mean - posterior[3].mean) < 1e-9 for i in range(20))


def test_the_posterior_is_on_the_scale_of_the_outcomes(plain: Space) -> None:
    observations = _observe(plain, 20)
    wider = [o.model_copy(update={"value": 7.0 + 50 * (o.value or 0.0)}) for o in observations]
    posterior, of_wider = suggest(plain, observations).posterior, suggest(plain, wider).posterior
    narrow_next, wide_next = suggest(plain, observations).prospect, suggest(plain, wider).prospect
    assert narrow_next is not None
    assert wide_next is not None
    np.testing.assert_allclose(wide_next.gain, 50 * narrow_next.gain, rtol=1e-2)
    np.testing.assert_allclose(wide_next.noise, 50 * narrow_next.noise, rtol=1e-2)
    for number, found in posterior.items():
        np.testing.assert_allclose(of_wider[number].mean, 7.0 + 50 * found.mean, rtol=1e-4)
        np.testing.assert_allclose(of_wider[number].sem, 50 * found.sem, rtol=1e-3)


def test_the_prospect_is_what_samples_of_the_posterior_gain(plain: Space) -> None:
    """E[max(best mean - f, 0)] at the suggested point, whose posterior one more observation does not change."""
    rng = np.random.default_rng(1)
    observations = [o.model_copy(update={"value": (o.value or 0.0) + 0.1 * rng.normal()}) for o in _observe(plain, 25)]
    found = suggest(plain, observations)
    assert found.prospect is not None
    domain = Domain.of(plain)
    outcomes = standardize(observations)
    x = domain.encode([o.params for o in observations])
    assert found.fitted is not None
    surrogate = Surrogate.condition(domain, x, outcomes.z, found.fitted.outcome)
    mean, variance = surrogate.posterior(torch.from_numpy(domain.encode(found.params)))
    samples = outcomes.mean + outcomes.scale * (mean.item() + variance.sqrt().item() * rng.normal(size=1_000_000))
    with torch.no_grad():
        best = outcomes.mean + outcomes.scale * surrogate.posterior(torch.from_numpy(x))[0].min().item()
    np.testing.assert_allclose(found.prospect.gain, np.maximum(best - samples, 0.0).mean(), rtol=0.02)
    np.testing.assert_allclose(found.prospect.noise**2, 2 * found.fitted.outcome.noise * outcomes.scale**2)


def test_the_stated_posterior_does_not_take_noise_for_signal() -> None:
    """The truth is in most of the 90% intervals (in 0.56 of them where they are stated as the search sees them)."""
    space = Space.from_search({name: FloatDimension(type="float", low=0.0, high=1.0) for name in "abcd"})
    held = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        u = rng.random((30, 4))
        truth = np.sin(5 * u[:, 0]) * u[:, 1] + (u[:, 2] - 0.5) ** 2
        observations = [
            Observation(number=i, params=space.decode(point), outcome=Outcome.OK, value=float(value))
            for i, (point, value) in enumerate(zip(u, truth + 0.2 * rng.normal(size=30), strict=True))
        ]
        posterior = suggest(space, observations).posterior
        held += [abs(found.mean - truth[number]) < 1.645 * found.sem for number, found in posterior.items()]
    assert np.mean(held) > 0.7


def test_stated_standard_errors_change_what_is_stated_and_not_what_is_suggested(plain: Space) -> None:
    observations = _observe(plain, 20)
    unsure = [o.model_copy(update={"sem": 2.0 * np.std([o.value or 0.0 for o in observations])}) for o in observations]
    exact, stated = suggest(plain, observations), suggest(plain, unsure)
    assert stated.params == exact.params
    spread = [np.std([found.mean for found in each.posterior.values()]) for each in (exact, stated)]
    assert spread[1] < 0.7 * spread[0]


def test_a_lucky_trial_is_not_the_incumbent() -> None:
    """Twenty noisy values at about 0.2 around 0.5, one lucky one far away among bad ones."""
    rng = np.random.default_rng(0)
    space = Space.from_search({"a": FloatDimension(type="float", low=0.0, high=1.0)})
    points = [(a, 0.2 + rng.normal() * 0.02) for a in np.linspace(0.4, 0.6, 20)]
    points += [(a, 1.0 + rng.normal() * 0.1) for a in np.linspace(0.88, 0.92, 20)] + [(0.9, 0.15)]
    observations = [
        Observation(number=i, params={"a": float(a)}, outcome=Outcome.OK, value=float(y))
        for i, (a, y) in enumerate(points)
    ]
    assert min(observations, key=lambda o: o.value or 0.0).number == 40
    posterior = suggest(space, observations).posterior
    assert min(posterior, key=lambda number: posterior[number].mean) < 20


def test_better_than_random_on_a_noisy_skewed_mixed_problem(mixed: Space) -> None:
    def loss(p: Params) -> float:
        x = np.array([math.log10(float(p["rate"])) / 3 + 1, float(p["steps"]) / 10, math.log2(float(p["size"])) / 8])
        category = {"rnn": 0.6, "gru": 0.3, "lstm": abs(float(p.get("forget", 1.0)) - 0.8)}[str(p["cell"])]
        return math.exp(6 * float(((x - [0.4, 0.6, 0.7]) ** 2).sum())) - 1 + category

    ours, random = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        observations: list[Observation] = []
        fitted = None
        for number in range(30):
            suggestions = suggest(mixed, observations, seed=seed, fitted=fitted)
            fitted = suggestions.fitted
            value = loss(suggestions.params[0]) + 0.1 * rng.normal()
            observations.append(
                Observation(number=number, params=suggestions.params[0], outcome=Outcome.OK, value=value)
            )
        ours.append(min(loss(o.params) for o in observations))
        random.append(min(loss(mixed.decode(rng.random(len(mixed)))) for _ in range(30)))
    assert np.median(ours) < 0.5 * np.median(random)
