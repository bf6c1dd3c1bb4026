from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from botorch.acquisition.multi_objective import logei
from botorch.models.model import Model
from botorch.posteriors import GPyTorchPosterior
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated
from gpytorch.distributions import MultitaskMultivariateNormal, MultivariateNormal

from hpo.config.search import FloatDimension
from hpo.records import Observation, Outcome
from hpo.sampler import hypervolume
from hpo.sampler.domain import Domain
from hpo.sampler.hypervolume import LogEHVI, Tradeoff, boxes, reference_point
from hpo.sampler.joint import Joint
from hpo.sampler.suggest import suggest
from hpo.sampler.surrogate import Hyperparameters, Surrogate
from hpo.space import Params, Space

REFERENCE = torch.tensor([2.0, 2.0], dtype=torch.float64)


def _tensor(values: object) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def _improvement(values: torch.Tensor, reference: torch.Tensor, y: Sequence[float]) -> list[float]:
    """Of what is known to be y (M,), over each of S fronts."""
    sides = boxes(values, reference)
    gains = [
        each.log_gain(_tensor([[f]]).expand(1, len(values)), _tensor([[0.0]])) for f, each in zip(y, sides, strict=True)
    ]
    return [float(x) for x in torch.stack(gains).sum(0).exp().sum(-1).squeeze(0)]


@pytest.mark.parametrize(
    ("y", "gained"),
    [
        ((1.5, 1.5), 0.5 * 1.5),  # between the two
        ((0.5, 3.5), 0.5 * 0.5),  # cheaper than both
        ((0.5, 0.5), 3.5**2 - (3 * 1 + 2 * 2)),  # better than both: all that they do not dominate themselves
        ((3.0, 0.0), 1.0 * 1.0),
        ((2.5, 1.5), 0.0),  # dominated
        ((5.0, 0.0), 0.0),  # beyond the reference point
    ],
)
def test_what_a_known_outcome_adds_to_a_front_of_two(y: tuple[float, float], gained: float) -> None:
    """(1, 3) and (2, 1) are the front, (3, 3) is dominated, (4, 4) is the reference point."""
    values = _tensor([[[1.0, 3.0], [2.0, 1.0], [3.0, 3.0]]])
    assert _improvement(values, _tensor([4.0, 4.0]), y) == [pytest.approx(gained, abs=1e-5)]


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_boxes_fill_what_is_beyond_each_front(objectives: int) -> None:
    """By BoTorch's hypervolume with and without y; the fronts have different numbers of boxes."""
    rng = np.random.default_rng(objectives)
    values, reference = _tensor(rng.random((5, 12, objectives))), torch.full((objectives,), 0.9, dtype=torch.float64)
    for y in rng.random((6, objectives)) * 0.8:
        expected = [
            _volume(torch.cat([sample, _tensor(y)[None]]), reference) - _volume(sample, reference) for sample in values
        ]
        np.testing.assert_allclose(_improvement(values, reference, y.tolist()), expected, atol=1e-5)


def _volume(values: torch.Tensor, reference: torch.Tensor) -> float:
    return Hypervolume(-reference).compute(-values[is_non_dominated(values, maximize=False)])


def _surrogates(space: Space) -> tuple[Domain, np.ndarray, list[Surrogate]]:
    """Of two functions that fall where the other one rises."""
    rng = np.random.default_rng(0)
    domain = Domain.of(space)
    x = domain.canonical(domain.snap(rng.random((15, len(domain)))))
    hyperparameters = Hyperparameters((3.0, *(0.5,) * (len(domain) - 1)), 1.0, 0.01)
    each = []
    for y in (np.sin(3 * x[:, 0]), np.cos(3 * x[:, 0]) + x[:, 1]):
        y = y + rng.normal(size=15) * 0.1
        each.append(Surrogate.condition(domain, x, (y - y.mean()) / y.std(), hyperparameters))
    return domain, x, each


def _points(domain: Domain, count: int, seed: int) -> torch.Tensor:
    return _tensor(domain.canonical(domain.snap(np.random.default_rng(seed).random((count, len(domain))))))


class _Negative(Model):
    """Independent surrogates as BoTorch sees them: what is minimized here is maximized there."""

    def __init__(self, surrogates: list[Surrogate]) -> None:
        super().__init__()
        self.surrogates = surrogates

    @property
    def num_outputs(self) -> int:
        return len(self.surrogates)

    def posterior(self, X: torch.Tensor, *args: Any, **kwargs: Any) -> GPyTorchPosterior:  # noqa: N803
        return GPyTorchPosterior(
            MultitaskMultivariateNormal.from_independent_mvns([self._normal(s, X) for s in self.surrogates])
        )

    @staticmethod
    def _normal(surrogate: Surrogate, x: torch.Tensor) -> MultivariateNormal:
        embedded, projected = surrogate.project(x)
        covariance = surrogate.covariance(embedded, embedded) - projected @ projected.mT
        return MultivariateNormal(-surrogate.moments(projected)[0], covariance + 1e-5 * torch.eye(x.shape[-2]))


@pytest.mark.parametrize("running", [0, 2])
def test_it_is_botorchs_with_the_expectation_exact(mixed: Space, running: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With inactive dimensions and running trials; theirs is a mean over 1,024 samples, ours over 128 fronts."""
    monkeypatch.setattr(logei, "_load_attempted", True)  # its C++ is not to be compiled here
    monkeypatch.setattr(hypervolume, "SAMPLES", 128)
    domain, x, surrogates = _surrogates(mixed)
    ended, pending, points = _tensor(x), _points(domain, 2, seed=1)[:running], _points(domain, 100, seed=2)
    with torch.no_grad():
        reference = reference_point(surrogates, ended)
        ours = LogEHVI.of(surrogates, reference, ended, pending, seed=0)(points)
        theirs = logei.qLogNoisyExpectedHypervolumeImprovement(
            _Negative(surrogates),
            -reference,
            ended,
            sampler=SobolQMCNormalSampler(torch.Size([1024]), seed=0),
            X_pending=pending if running else None,
            cache_root=False,
        )(points.unsqueeze(1))
    promising = ours > ours.max() - 3
    assert promising.sum() > 5
    np.testing.assert_allclose(ours[promising].numpy(), theirs[promising].numpy(), atol=0.1)


def test_gradients_are_exact(plain: Space) -> None:
    domain, x, surrogates = _surrogates(plain)
    goal = LogEHVI.of(surrogates, REFERENCE, _tensor(x), _points(domain, 2, seed=6), seed=0)
    at = _points(domain, 3, seed=5)

    def along(v: torch.Tensor) -> torch.Tensor:
        return goal(torch.cat([v, at[:, 2:]], -1))

    assert torch.autograd.gradcheck(along, at[:, :2].clone().requires_grad_(), eps=1e-6, atol=1e-4)


def test_nothing_is_left_to_gain_where_a_trial_runs(mixed: Space) -> None:
    domain, x, surrogates = _surrogates(mixed)
    none, pending = _points(domain, 0, seed=4), _points(domain, 3, seed=4)
    alone = LogEHVI.of(surrogates, REFERENCE, _tensor(x), none, seed=0)(pending)
    assert (LogEHVI.of(surrogates, REFERENCE, _tensor(x), pending, seed=0)(pending) < alone - 2).all()


def test_samples_elsewhere_agree_with_those_at_the_points(plain: Space) -> None:
    domain, _, (surrogate, _) = _surrogates(plain)
    points = _points(domain, 4, seed=7)
    joint = Joint.of(surrogate, points)
    values = joint.samples(_tensor(np.random.default_rng(0).normal(size=(6, 4))))
    means, variance = joint.given(values).posterior(points)
    np.testing.assert_allclose(means.mT.numpy(), values.numpy(), atol=0.01)
    assert variance.max() < 1e-4


def _observed(number: int, a: float, **known: Any) -> Observation:
    return Observation(number=number, params={"a": a}, outcome=Outcome.OK, **known)


LINE = Space.from_search({"a": FloatDimension(type="float", low=0.0, high=1.0)})


def test_trials_that_were_not_measured_say_nothing() -> None:
    told = [(), (1.0,), (math.nan,), (3.0,), (math.inf,)]
    observations = [_observed(i, i / 4, value=0.0, against=against) for i, against in enumerate(told)]
    x = np.linspace(0, 1, 5)[:, None]
    tradeoff = Tradeoff.learn(Domain.of(LINE), x, observations)
    assert tradeoff.measured.tolist() == [False, True, False, True, False]
    assert len(tradeoff.hyperparameters) == 1
    assert Tradeoff.learn(Domain.of(LINE), x[:1], observations[:1]).surrogates == ()


def test_the_search_goes_on_between_best_and_cheapest_and_satisfies_constraints() -> None:
    """Loss falls with a, cost rises; between 0.3 and 0.7 nothing was tried, and above 0.5 nothing is allowed."""
    tried = [0.0, 0.1, 0.2, 0.3, 0.7, 0.8, 0.9, 1.0]
    free = [_observed(i, a, value=(a - 1) ** 2, against=(3 * a,)) for i, a in enumerate(tried)]
    found = suggest(LINE, free, startup_trials=4)
    assert 0.4 < float(found.params[0]["a"]) < 0.6
    assert found.prospect is None
    assert found.fitted is not None
    assert len(found.fitted.against) == 1
    bound = [o.model_copy(update={"excess": (float(o.params["a"]) - 0.5,)}) for o in free]
    assert 0.3 < float(suggest(LINE, bound, startup_trials=4).params[0]["a"]) <= 0.5


def test_one_objective_is_what_remains_where_all_cost_the_same() -> None:
    observations = [_observed(i, i / 8, value=(i / 8 - 0.7) ** 2, against=(2.0,)) for i in range(9)]
    assert 0.64 < float(suggest(LINE, observations, startup_trials=4).params[0]["a"]) < 0.74


def test_better_than_random_in_hypervolume(mixed: Space) -> None:
    def loss(p: Params) -> float:
        cell = {"rnn": 0.4, "gru": 0.2, "lstm": 0.0}[str(p["cell"])]
        return (math.log10(float(p["rate"])) + 1.5) ** 2 + 8 / float(p["size"]) + cell

    def cost(p: Params) -> float:
        cell = {"rnn": 0.0, "gru": 0.7, "lstm": 1.1}[str(p["cell"])]
        return math.log(float(p["size"])) + cell + 0.1 * float(p["steps"])

    def volume(params: Sequence[Params]) -> float:
        return _volume(_tensor([[loss(p), cost(p)] for p in params]), _tensor([2.0, 7.5]))

    observations: list[Observation] = []
    fitted = None
    for number in range(20):
        found = suggest(mixed, observations, fitted=fitted)
        fitted, p = found.fitted, found.params[0]
        observations.append(Observation(number=number, params=p, outcome=Outcome.OK, value=loss(p), against=(cost(p),)))
    rng = np.random.default_rng(0)
    random = [volume([mixed.decode(rng.random(len(mixed))) for _ in range(20)]) for _ in range(20)]
    assert volume([o.params for o in observations]) > max(random)
