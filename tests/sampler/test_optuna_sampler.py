from __future__ import annotations

import math
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import Trial, TrialState, create_trial
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from hpo.config.execution import SamplerConfig
from hpo.config.search import FloatDimension, IntDimension
from hpo.records import AGAINST_ATTRIBUTE, SECONDS_ATTRIBUTE, STANDARD_ERROR_ATTRIBUTE, Outcome
from hpo.sampler import distributions, make_sampler, optuna_sampler
from hpo.sampler.domain import Domain
from hpo.sampler.history import DOUBT, history
from hpo.sampler.optuna_sampler import GpEiSampler
from hpo.sampler.suggest import suggest
from hpo.space import Params, Space

optuna.logging.set_verbosity(optuna.logging.ERROR)


def _study(space: Space, direction: str = "minimize", startup_trials: int = 4, **kwargs: Any) -> Study:
    return optuna.create_study(direction=direction, sampler=GpEiSampler(space, startup_trials=startup_trials, **kwargs))


def _ask(study: Study, space: Space) -> tuple[Trial, Params]:
    trial = study.ask()
    params: Params = {}
    for j, (name, distribution) in enumerate(distributions(space).items()):
        if space.is_active(j, params):
            params[name] = _suggest(trial, name, distribution)
    return trial, params


def _suggest(trial: Trial, name: str, distribution: Any) -> Any:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)


def _loss(space: Space, params: Params) -> float:
    return float(np.nansum((space.encode(params) - 0.3) ** 2))


def test_a_study_over_a_conditional_space(mixed: Space) -> None:
    study = _study(mixed)
    domain = Domain.of(mixed)
    for _ in range(15):
        trial, params = _ask(study, mixed)
        assert domain.contains(params)
        study.tell(trial, _loss(mixed, params))
    assert len({domain.key(trial.params) for trial in study.trials}) == 15
    posterior = study.sampler.posterior  # type: ignore[attr-defined]
    assert set(posterior) == set(range(14))  # as of the last ask
    # what the sampler proposed is what was recorded
    assert all(trial.params == dict(trial.params) and domain.contains(trial.params) for trial in study.trials)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_direction(plain: Space, direction: str) -> None:
    sign = 1.0 if direction == "minimize" else -1.0
    study = _study(plain, direction)
    for _ in range(16):
        trial, params = _ask(study, plain)
        study.tell(trial, sign * (100 + _loss(plain, params)))
    assert abs(study.best_value) < 100.1
    means = np.array([found.mean for found in study.sampler.posterior.values()])  # type: ignore[attr-defined]
    np.testing.assert_allclose(means, sign * 100, atol=2)


@pytest.mark.parametrize("finished", [0, 10])
def test_parallel_asks_are_distinct(mixed: Space, finished: int) -> None:
    study = _study(mixed)
    for _ in range(finished):
        trial, params = _ask(study, mixed)
        study.tell(trial, _loss(mixed, params))
    points = np.nan_to_num([mixed.encode(_ask(study, mixed)[1]) for _ in range(5)], nan=-1)
    assert (np.abs(points[:, None] - points).max(-1) + np.eye(5)).min() > 0.01


def test_workers_that_ask_at_the_same_moment_get_different_points(plain: Space) -> None:
    """Both trials are started before either has params: what a race looks like from inside."""
    study = _study(plain)
    for _ in range(10):
        trial, params = _ask(study, plain)
        study.tell(trial, _loss(plain, params))
    first, second = study.ask(), study.ask()
    samplers = [GpEiSampler(plain, worker_seed=worker, startup_trials=4) for worker in (0, 1)]
    frozen = [next(t for t in study.trials if t.number == trial.number) for trial in (first, second)]
    points = [
        plain.encode(sampler.sample_relative(study, trial, {})) for sampler, trial in zip(samplers, frozen, strict=True)
    ]
    assert np.abs(points[0] - points[1]).max() > 0.01


def test_workers_with_one_history_differ(plain: Space) -> None:
    study = _study(plain)
    for _ in range(10):
        trial, params = _ask(study, plain)
        study.tell(trial, _loss(plain, params))
    trial = study.trials[-1]
    trial.number, trial.state = 10, TrialState.RUNNING
    points = [
        GpEiSampler(plain, worker_seed=worker, startup_trials=4).sample_relative(study, trial, {})
        for worker in range(3)
    ]
    assert len({Domain.of(plain).key(point) for point in points}) == 3


def test_a_new_sampler_continues_a_study(mixed: Space) -> None:
    study = _study(mixed, seed=5)
    for _ in range(10):
        trial, params = _ask(study, mixed)
        study.tell(trial, _loss(mixed, params))
    study.sampler = GpEiSampler(mixed, seed=5, startup_trials=4)
    trial, params = _ask(study, mixed)
    assert len(study.sampler.posterior) == 10
    assert Domain.of(mixed).key(params) not in {Domain.of(mixed).key(t.params) for t in study.trials[:10]}


def test_of_suggestions_from_one_fit_only_the_first_has_a_prospect(plain: Space) -> None:
    """The others would tell the same fit's opinion again."""
    study = _study(plain)
    assert isinstance(study.sampler, GpEiSampler)
    for _ in range(10):
        trial, params = _ask(study, plain)
        study.tell(trial, _loss(plain, params))
    study.sampler.prepare(study, 3)
    promised = study.sampler.prospect
    assert promised is not None
    prospects = []
    for _ in range(4):
        _ask(study, plain)
        prospects.append(study.sampler.prospect)
    assert prospects[:3] == [promised, None, None]
    assert prospects[3] is not None


def test_a_prepared_suggestion_is_used_once_while_it_is_fresh(plain: Space) -> None:
    study = _study(plain)
    sampler = study.sampler
    assert isinstance(sampler, GpEiSampler)
    for _ in range(6):
        trial, params = _ask(study, plain)
        study.tell(trial, _loss(plain, params))
    running, params = _ask(study, plain)
    thread = threading.Thread(target=sampler.prepare, args=(study,))
    thread.start()
    thread.join()
    (prepared,) = sampler._prepared
    assert prepared.params != params
    study.tell(running, _loss(plain, params))
    assert _ask(study, plain)[1] == prepared.params
    assert not sampler._prepared
    assert _ask(study, plain)[1] != prepared.params


def test_several_are_prepared_from_one_fit(plain: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    study = _study(plain)
    sampler = study.sampler
    assert isinstance(sampler, GpEiSampler)
    for _ in range(6):
        trial, params = _ask(study, plain)
        study.tell(trial, _loss(plain, params))
    fits: list[object] = []
    monkeypatch.setattr(optuna_sampler, "suggest", lambda *args, **more: fits.append(args) or suggest(*args, **more))
    sampler.prepare(study, 4)
    prepared = [one.params for one in sampler._prepared]
    assert [_ask(study, plain)[1] for _ in range(4)] == prepared
    assert len(fits) == 1
    points = np.array([plain.encode(params) for params in prepared])
    assert (np.abs(points[:, None] - points).max(-1) + np.eye(4)).min() > 0.01
    assert _ask(study, plain)[1] not in prepared
    assert len(fits) == 2


def test_a_prepared_suggestion_that_another_worker_tries_is_thrown_away(plain: Space) -> None:
    study = _study(plain)
    sampler = study.sampler
    assert isinstance(sampler, GpEiSampler)
    for _ in range(6):
        trial, params = _ask(study, plain)
        study.tell(trial, _loss(plain, params))
    sampler.prepare(study)
    taken = dict(sampler._prepared[0].params)
    taken["a"] = min(float(taken["a"]) + 1e-4, 1.0)  # next to it is the same experiment
    study.add_trial(create_trial(params=taken, distributions=distributions(plain), value=1.0))
    x, y = Domain.of(plain).encode([taken, _ask(study, plain)[1]])
    assert np.abs(x - y).max() > 1e-3


def test_nothing_is_prepared_during_the_start_up(plain: Space) -> None:
    study = _study(plain)
    assert isinstance(study.sampler, GpEiSampler)
    study.sampler.prepare(study, 3)
    assert not study.sampler._prepared


def test_an_ask_takes_one_thread_and_leaves_the_threads_as_they_were(
    plain: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    def threads() -> list[int]:
        blas = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
        return [torch.get_num_threads(), *blas]

    during: list[list[int]] = []

    def watched(*arguments: Any, **options: Any) -> Any:
        during.append(threads())
        return suggest(*arguments, **options)

    monkeypatch.setattr(optuna_sampler, "suggest", watched)
    with threadpool_limits(2):
        torch.set_num_threads(2)
        before = threads()
        _ask(_study(plain), plain)
        assert threads() == before
    assert set(during[0]) == {1}
    assert set(before) == {2}


def test_history_tells_the_reasons(plain: Space) -> None:
    study = _study(plain, "maximize")
    ok, params = _ask(study, plain)
    study.tell(ok, 2.0)
    pruned, _ = _ask(study, plain)
    pruned.report(0.5, 1)
    pruned.report(0.7, 3)
    study.tell(pruned, state=TrialState.PRUNED)
    diverged, _ = _ask(study, plain)
    diverged.set_user_attr("outcome", Outcome.DIVERGED.value)
    study.tell(diverged, state=TrialState.FAIL)
    broken, _ = _ask(study, plain)
    study.tell(broken, state=TrialState.FAIL)
    endless, _ = _ask(study, plain)
    study.tell(endless, math.inf)
    running, pending = _ask(study, plain)
    nameless = study.ask()
    past = history(study, Domain.of(plain), number=7)
    assert [(o.number, o.outcome, o.value) for o in past.observations] == [
        (0, Outcome.OK, -2.0),
        (1, Outcome.PRUNED, -0.7),
        (2, Outcome.DIVERGED, None),
        (3, Outcome.ERROR, None),
        (4, Outcome.DIVERGED, -math.inf),
    ]
    assert past.observations[0].params == params
    assert past.pending == (pending,)
    assert past.unknown == 1
    assert history(study, Domain.of(plain), number=running.number).pending == ()
    assert history(study, Domain.of(plain), number=nameless.number).unknown == 0


def _add(study: Study, space: Space, curve: dict[int, float], value: float | None = None) -> None:
    """A trial that was pruned, or ended with ``value``, somewhere in the space."""
    x = np.random.default_rng(len(study.trials)).random(len(space))
    trial = create_trial(
        state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
        params=space.decode(x),
        distributions=distributions(space),
        value=value,
        intermediate_values=curve,
    )
    study.add_trial(trial)


def _values(study: Study, space: Space) -> list[float | None]:
    return [observation.value for observation in history(study, Domain.of(space)).observations]


def _deviations(study: Study, space: Space) -> list[float | None]:
    return [observation.sem for observation in history(study, Domain.of(space)).observations]


def test_seconds_are_those_of_all_meta_iterations() -> None:
    space = Space.from_search({"training.meta_iterations": IntDimension(type="int", low=10, high=90)})
    study = optuna.create_study()
    for seconds in (None, 0.5):
        trial = study.ask({"training.meta_iterations": IntDistribution(40, 40)})
        if seconds is not None:
            trial.set_user_attr(SECONDS_ATTRIBUTE, seconds)
        study.tell(trial, 1.0)
    assert [observation.seconds for observation in history(study, Domain.of(space)).observations] == [None, 20.0]


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_a_pruned_trial_counts_as_what_it_would_have_ended_with(plain: Space, direction: str, sign: float) -> None:
    study = _study(plain, direction)
    curves = [{1: 3.0, 2: 2.0}, {1: 5.0, 2: 2.5}, {1: 2.0, 2: 1.75}, {2: 9.0}]
    for curve in curves:  # changes after step 1: -1.5, -3.5, -0.5; after step 2: -0.5, -1, -0.25, -7.5
        _add(study, plain, {step: sign * y for step, y in curve.items()}, sign * 1.5)
    _add(study, plain, {1: sign * 4.0})
    _add(study, plain, {1: sign * 8.0, 2: sign * 4.0})
    _add(study, plain, {3: sign * 4.0})  # no finished trial reported at step 3
    assert _values(study, plain) == [1.5, 1.5, 1.5, 1.5, 2.5, 3.25, 4.0]
    # about the median of 0 and the changes: -1 after step 1, -0.5 after step 2
    assert _deviations(study, plain) == pytest.approx([0, 0, 0, 0, DOUBT * 1.4826 * 0.75, DOUBT * 1.4826 * 0.5, 0])


def test_a_pruned_trial_counts_as_its_last_value_while_no_trial_has_finished(plain: Space) -> None:
    study = _study(plain)
    _add(study, plain, {1: 3.0})
    _add(study, plain, {1: 4.0, 2: 2.0})
    _add(study, plain, {})
    assert _values(study, plain) == [3.0, 2.0, None]


def test_values_that_are_not_finite_tell_no_change(plain: Space) -> None:
    study = _study(plain)
    _add(study, plain, {1: math.inf, 2: 2.0}, 1.0)
    _add(study, plain, {1: 3.0, 2: -math.inf}, 2.0)
    _add(study, plain, {1: 2.0, 2: math.nan}, math.inf)
    for curve in ({1: 5.0}, {1: 5.0, 2: 3.0}, {1: math.inf}, {1: math.nan}):
        _add(study, plain, curve)
    *finished, first, second, infinite, nan = _values(study, plain)
    assert (finished, first, second, infinite) == ([1.0, 2.0, math.inf], 4.0, 2.0, math.inf)
    assert nan is not None
    assert math.isnan(nan)


def test_early_losses_do_not_change_what_is_learned(plain: Space) -> None:
    """Where every loss falls by 1 after step 1, it does not matter which trials were pruned there."""
    pruned, complete = _study(plain), _study(plain)
    losses = [_loss(plain, plain.decode(np.random.default_rng(i).random(len(plain)))) for i in range(16)]
    finished = np.argsort(losses)[::4].tolist()
    for i, loss in enumerate(losses):
        _add(pruned, plain, {1: 1.0 + loss}, loss if i in finished else None)
        _add(complete, plain, {}, loss)
    means = []
    for study in (pruned, complete):
        assert isinstance(study.sampler, GpEiSampler)
        study.sampler.prepare(study)
        means.append([study.sampler.posterior[i].mean for i in finished])
    np.testing.assert_allclose(means[0], means[1], atol=1e-3)


def test_a_parameter_that_the_space_does_not_know_is_drawn_uniformly(plain: Space) -> None:
    trial = _study(plain).ask()
    assert 0 <= trial.suggest_float("elsewhere", 0, 1) <= 1


def test_several_objectives_are_refused(plain: Space) -> None:
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=GpEiSampler(plain))
    with pytest.raises(ValueError, match="multi-objective"):
        study.ask().suggest_float("a", 0, 1)


def test_distributions_hold_every_value_of_their_dimension() -> None:
    space = Space.from_search(
        {
            "step": FloatDimension(type="float", low=0.0, high=1.0, step=0.3),
            "odd": IntDimension(type="int", low=1, high=10, step=2),
            "log": IntDimension(type="int", low=1, high=9, log=True),
        }
    )
    for dimension, distribution in zip(space.dimensions, distributions(space).values(), strict=True):
        assert dimension.values is not None
        for value in dimension.values:
            assert distribution._contains(distribution.to_internal_repr(value))
    assert distributions(space)["odd"] == IntDistribution(1, 9, step=2)


@pytest.mark.parametrize("kind", ["gp_ei", "random", "tpe", "gp"])
def test_every_kind_runs(mixed: Space, kind: str) -> None:
    config = SamplerConfig(kind=kind, startup_trials=3)  # type: ignore[arg-type]
    for worker in (0, 1):
        study = optuna.create_study(sampler=make_sampler(config, mixed, worker))
        for _ in range(6):
            trial, params = _ask(study, mixed)
            assert Domain.of(mixed).contains(params)
            study.tell(trial, _loss(mixed, params))


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_light_samplers_load_no_torch(kind: str) -> None:
    code = f"""
import sys
from hpo.config.execution import SamplerConfig
from hpo.sampler import make_sampler
from hpo.space import Space
make_sampler(SamplerConfig(kind={kind!r}), Space(()), 0)
assert not {{"torch", "botorch", "gpytorch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_constraints_of_a_study_reach_the_search(plain: Space) -> None:
    """As values of Optuna's own constraints: after the start-up trials are near the bound, where the optimum is."""
    study = _study(plain, startup_trials=8)
    for _ in range(20):
        trial, params = _ask(study, plain)
        trial.set_constraint("a", 0.5 - float(params["a"]))
        study.tell(trial, float(params["a"]) + 0.1 * float(params["b"]))
    found = [observation.excess for observation in history(study, Domain.of(plain)).observations]
    assert found == [(0.5 - trial.params["a"],) for trial in study.trials]
    assert 0.5 <= study.best_trial.params["a"] < 0.55
    assert sum(abs(trial.params["a"] - 0.5) < 0.1 for trial in study.trials[8:]) >= 9


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ([1, 2.5], (1.0, 2.5)),
        ([], ()),
        (["fast"], ()),
        ([True], ()),
        ([math.nan], ()),
        ({"seconds": 1.0}, ()),
        ("seconds", ()),
        (None, ()),
    ],
)
def test_only_logarithms_are_taken_for_what_a_value_is_traded_against(
    told: object, known: tuple[float, ...], plain: Space
) -> None:
    """A study of somebody else's may have an attribute of this name."""
    study = _study(plain, startup_trials=8)
    trial, _ = _ask(study, plain)
    trial.set_user_attr(AGAINST_ATTRIBUTE, told)
    study.tell(trial, 1.0)
    (observation,) = history(study, Domain.of(plain)).observations
    assert observation.against == known


@pytest.mark.parametrize("told", [-1.0, math.nan, math.inf, True, "0.1", [0.1], None])
def test_only_numbers_are_taken_for_standard_errors_and_seconds(told: object, plain: Space) -> None:
    study = _study(plain, startup_trials=8)
    for of in (told, 0.5):
        trial, _ = _ask(study, plain)
        trial.set_user_attr(STANDARD_ERROR_ATTRIBUTE, of)
        trial.set_user_attr(SECONDS_ATTRIBUTE, of)
        study.tell(trial, 1.0)
    foreign, own = history(study, Domain.of(plain)).observations
    assert (foreign.sem, foreign.seconds) == (0.0, None)
    assert (own.sem, own.seconds) == (0.5, 0.5)
