"""What every EpisodeLoss promises, whichever way it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.config import TrialConfig
from hpo.meta.accelerator import AcceleratorError
from hpo.meta.cells import Params
from hpo.meta.cells.steps import Steps
from hpo.meta.gradients import EpisodeLoss, Slope
from hpo.meta.network import Network, Sequences
from hpo.meta.packing import Packing
from hpo.meta.tasks import Classes, Episode, Tokens
from tests.meta.gradients.oracle import OTHER_BUILDS, WAYS, Case, cases, distance, loss_of, relative_error, subsets

EXACT = 1e-12
every_way = pytest.mark.parametrize("way", [*WAYS, *OTHER_BUILDS])


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def support(way: str, case: Case) -> EpisodeLoss:
    return loss_of(way, case.network, case.support)


def directions(case: Case, count: int, names: list[str] | None = None) -> list[Params]:
    numbers = torch.Generator().manual_seed(case.seed + 2)
    names = names or case.network.names
    return [
        {name: torch.randn(case.theta[name].shape, generator=numbers).double() for name in names} for _ in range(count)
    ]


def dot(a: Params, b: Params) -> float:
    return sum(float((a[name] * b[name]).sum()) for name in a)


def norm(a: Params) -> float:
    return float(dot(a, a) ** 0.5)


def close(actual: Params, expected: Params, scale: float | None = None) -> bool:
    """Relative to ``scale``, or to what is expected."""
    assert actual.keys() == expected.keys()
    difference = {name: actual[name] - expected[name] for name in expected}
    return norm(difference) <= EXACT * (norm(expected) if scale is None else scale)


def same(actual: Params, expected: Params) -> bool:
    return actual.keys() == expected.keys() and all(torch.equal(actual[name], expected[name]) for name in expected)


@every_way
@settings(max_examples=15)
@given(case=cases())
def test_predictions_are_the_networks(way: str, case: Case) -> None:
    loss = support(way, case)
    slope = loss.slope(case.theta, case.network.names, keep=False)
    predictions = case.network.forward(case.theta, case.network.pack(case.support))
    assert loss.tasks == case.support.tasks
    assert relative_error([slope.predictions], [predictions]) < EXACT
    assert relative_error([loss.predict(case.theta)], [slope.predictions]) < EXACT


@every_way
@settings(max_examples=25)
@given(data=st.data())
def test_gradient_and_hessian_product_equal_double_autograd(way: str, data: st.DataObject) -> None:
    case = data.draw(cases())
    names = data.draw(subsets(case.network))
    (along,) = directions(case, 1, names)
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in case.theta.items()}
    total = case.network.loss(case.network.forward(leaves, case.network.pack(case.support)), case.support.targets).sum()
    gradient = torch.autograd.grad(total, [leaves[name] for name in names], create_graph=True)
    slopes = sum((g * along[name]).sum() for name, g in zip(names, gradient, strict=True))
    product = torch.autograd.grad(slopes, list(leaves.values()))

    loss = support(way, case)
    slope = loss.slope(case.theta, names, keep=True)
    assert list(slope.gradient) == names
    assert distance(slope.gradient, dict(zip(names, (g.detach() for g in gradient), strict=True))) < EXACT
    assert distance(loss.curvature(case.theta, slope, along), dict(zip(leaves, product, strict=True))) < EXACT


@every_way
@settings(max_examples=10)
@given(data=st.data())
def test_what_is_asked_for_does_not_change_what_is_computed(way: str, data: st.DataObject) -> None:
    case = data.draw(cases())
    names, loss = data.draw(subsets(case.network)), support(way, case)
    whole = loss.slope(case.theta, case.network.names, keep=True)
    part = loss.slope(case.theta, names, keep=data.draw(st.booleans()))
    assert close(part.gradient, {name: whole.gradient[name] for name in names}, norm(whole.gradient))
    assert relative_error([part.predictions], [whole.predictions]) < EXACT


@every_way
@settings(max_examples=15)
@given(case=cases(), a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_hessian_product_is_linear_and_symmetric(way: str, case: Case, a: float, b: float) -> None:
    loss, (u, v) = support(way, case), directions(case, 2)

    def product(direction: Params) -> Params:
        return loss.curvature(case.theta, loss.slope(case.theta, direction, keep=True), direction)

    hu, hv = product(u), product(v)
    together = product({name: a * u[name] + b * v[name] for name in u})
    scale = abs(a) * norm(hu) + abs(b) * norm(hv)
    assert close(together, {name: a * hu[name] + b * hv[name] for name in hu}, scale)
    assert abs(dot(u, hv) - dot(v, hu)) <= EXACT * (norm(u) * norm(hv) + norm(v) * norm(hu))


@every_way
@settings(max_examples=15)
@given(data=st.data())
def test_a_direction_without_some_parameters_is_zero_there(way: str, data: st.DataObject) -> None:
    case = data.draw(cases())
    names, loss = data.draw(subsets(case.network)), support(way, case)
    (some,) = directions(case, 1, names)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in case.theta.items()}
    short = loss.curvature(case.theta, loss.slope(case.theta, names, keep=True), some)
    long = loss.curvature(case.theta, loss.slope(case.theta, case.network.names, keep=True), zeros | some)
    assert close(short, long)


@every_way
@settings(max_examples=10)
@given(data=st.data())
def test_nothing_given_is_changed_and_repeating_gives_the_same_bits(way: str, data: st.DataObject) -> None:
    case = data.draw(cases())
    names, loss = data.draw(subsets(case.network)), support(way, case)
    (along,) = directions(case, 1, names)
    slope = loss.slope(case.theta, names, keep=True)
    given_to_it = [case.theta, along, slope.gradient, {"predictions": slope.predictions}]
    given_to_it.append({"inputs": case.support.inputs, "targets": case.support.targets})
    copies = [{name: tensor.clone() for name, tensor in part.items()} for part in given_to_it]
    product = loss.curvature(case.theta, slope, along)
    again = loss.slope(case.theta, names, keep=True)
    assert same(loss.curvature(case.theta, again, along), product)
    assert same(again.gradient, slope.gradient)
    assert torch.equal(again.predictions, slope.predictions)
    assert torch.equal(loss.predict(case.theta), loss.predict(case.theta))
    assert all(same(part, copy) for part, copy in zip(given_to_it, copies, strict=True))
    results = [*slope.gradient.values(), slope.predictions, *product.values()]
    assert not any(tensor.requires_grad for tensor in results)


@every_way
@settings(max_examples=10)
@given(case=cases())
def test_parameters_expanded_over_the_tasks_are_as_good_as_copies(way: str, case: Case) -> None:
    one = {name: tensor[:1].expand_as(tensor) for name, tensor in case.theta.items()}
    (along,) = directions(case, 1)
    along = {name: tensor[:1].expand_as(tensor) for name, tensor in along.items()}
    loss, results = support(way, case), []
    for clone in (False, True):
        params, v = ({k: t.clone() if clone else t for k, t in part.items()} for part in (one, along))
        slope = loss.slope(params, case.network.names, keep=True)
        results.append((slope, loss.curvature(params, slope, v)))
    (expanded, product), (copied, expected) = results
    assert close(expanded.gradient, copied.gradient)
    assert close(product, expected)


@every_way
@settings(max_examples=10)
@given(case=cases(min_tasks=2))
def test_tasks_do_not_interact(way: str, case: Case) -> None:
    loss, (along,) = support(way, case), directions(case, 1)
    slope = loss.slope(case.theta, case.network.names, keep=True)
    product = loss.curvature(case.theta, slope, along)
    for task, own in enumerate(case.support.chunk(case.support.tasks)):
        params, direction = ({k: t[task : task + 1] for k, t in part.items()} for part in (case.theta, along))
        alone = loss_of(way, case.network, own)
        own_slope = alone.slope(params, case.network.names, keep=True)
        assert close({k: t[task : task + 1] for k, t in slope.gradient.items()}, own_slope.gradient)
        assert relative_error([slope.predictions[task : task + 1]], [own_slope.predictions]) < EXACT
        own_product = alone.curvature(params, own_slope, direction)
        assert close({k: t[task : task + 1] for k, t in product.items()}, own_product)
    only_first = {name: tensor.clone() for name, tensor in along.items()}
    for tensor in only_first.values():
        tensor[1:] = 0
    slope = loss.slope(case.theta, case.network.names, keep=True)
    product = loss.curvature(case.theta, slope, only_first)
    assert all(bool((tensor[1:] == 0).all()) for tensor in product.values())


@every_way
@settings(max_examples=10)
@given(case=cases(), more=st.integers(0, 3))
def test_what_stands_in_the_padding_does_not_count(way: str, case: Case, more: int) -> None:
    padded = with_padding(case, more)
    check_same_everywhere(case, support(way, case), loss_of(way, case.network, padded, case.network.pack(padded)))


def with_padding(case: Case, more: int) -> Episode:
    """``more`` steps longer, and something else than zeros in all padding."""
    old, numbers = case.support.inputs, torch.Generator().manual_seed(case.seed + 3)
    shape = (*old.shape[:2], old.shape[2] + more, *old.shape[3:])
    tokens = isinstance(case.network.input, Tokens)
    if tokens:
        inputs = torch.randint(0, case.network.input.vocabulary, shape, generator=numbers)
    else:
        inputs = torch.randn(shape, generator=numbers).double()
    valid = torch.arange(shape[2]) < case.support.lengths.unsqueeze(2)
    extended = torch.zeros(shape, dtype=old.dtype)
    extended[:, :, : old.shape[2]] = old
    return replace(case.support, inputs=torch.where(valid if tokens else valid.unsqueeze(3), extended, inputs))


@every_way
@settings(max_examples=10)
@given(case=cases(), at_once=st.booleans())
def test_steps_may_hold_all_examples(way: str, case: Case, at_once: bool) -> None:
    """The layout that graphics processors get."""
    inputs, lengths = case.support.inputs, case.support.lengths
    tasks, examples, time = inputs.shape[:3]
    step = torch.arange(time).repeat_interleave(examples).expand(tasks, -1)
    example = torch.arange(examples).repeat(time).expand(tasks, -1)
    length = lengths.gather(1, example)
    share = torch.where(step < length, 1.0 / length.double(), 0.0)
    last = (lengths - 1) * examples + torch.arange(examples)
    packing = Packing(Steps((examples,) * time, at_once), example * time + step, example, share, last)
    whole = Sequences(inputs.transpose(1, 2).flatten(1, 2), packing)
    check_same_everywhere(case, support(way, case), loss_of(way, case.network, case.support, whole))


def check_same_everywhere(case: Case, one: EpisodeLoss, other: EpisodeLoss) -> None:
    (along,) = directions(case, 1)
    slope, slope_of_other = (loss.slope(case.theta, case.network.names, keep=True) for loss in (one, other))
    assert relative_error([slope_of_other.predictions], [slope.predictions]) < EXACT
    assert close(slope_of_other.gradient, slope.gradient)
    product = one.curvature(case.theta, slope, along)
    assert close(other.curvature(case.theta, slope_of_other, along), product)


@pytest.mark.usefixtures("two_threads")
@settings(max_examples=10)
@given(case=cases(min_tasks=2))
def test_threads_do_not_change_the_accelerators_results(case: Case) -> None:
    loss, (along,) = support(WAYS[2], case), directions(case, 1)
    results: list[tuple[Slope, Params]] = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        slope = loss.slope(case.theta, case.network.names, keep=True)
        results.append((slope, loss.curvature(case.theta, slope, along)))
    (one, product), (two, product_of_two) = results
    assert same(two.gradient, one.gradient)
    assert torch.equal(two.predictions, one.predictions)
    assert same(product_of_two, product)


def small(network: Network) -> tuple[Params, Episode]:
    params = network.init(torch.Generator().manual_seed(0))
    inputs = torch.tensor([[[1, 2], [3, 0]]])
    return {name: tensor[None] for name, tensor in params.items()}, Episode(
        inputs, torch.tensor([[0, 1]]), torch.tensor([[2, 1]])
    )


def token_too_large(params: Params, episode: Episode) -> tuple[Params, Episode]:
    return params, replace(episode, inputs=episode.inputs + 1)


def class_too_large(params: Params, episode: Episode) -> tuple[Params, Episode]:
    return params, replace(episode, targets=episode.targets + 1)


def class_below_zero(params: Params, episode: Episode) -> tuple[Params, Episode]:
    return params, replace(episode, targets=episode.targets - 1)


def two_types(params: Params, episode: Episode) -> tuple[Params, Episode]:
    return params | {"head.bias": params["head.bias"].double()}, episode


@pytest.mark.parametrize("spoil", [token_too_large, class_too_large, class_below_zero, two_types])
def test_the_accelerator_refuses_what_it_cannot_compute(
    case_network: Network, spoil: Callable[[Params, Episode], tuple[Params, Episode]]
) -> None:
    params, episode = small(case_network)
    loss_of(WAYS[2], case_network, episode).slope(params, case_network.names, keep=True)
    params, episode = spoil(params, episode)
    with pytest.raises(AcceleratorError):
        loss_of(WAYS[2], case_network, episode).slope(params, case_network.names, keep=True)


@pytest.fixture
def case_network(trial_config: Callable[..., TrialConfig]) -> Network:
    return Network(trial_config().model, Tokens(4), Classes(2))


@every_way
@settings(max_examples=8)
@given(case=cases())
def test_tensors_may_lie_in_memory_in_any_order(way: str, case: Case) -> None:
    loss, (along,) = support(way, case), directions(case, 1)

    def scattered(params: Params) -> Params:
        return {name: tensor.repeat_interleave(2, dim=-1)[..., ::2] for name, tensor in params.items()}

    results = []
    for params, direction in ((case.theta, along), (scattered(case.theta), scattered(along))):
        slope = loss.slope(params, case.network.names, keep=True)
        results.append((slope, loss.curvature(params, slope, direction)))
    (slope, product), (slope_of_scattered, product_of_scattered) = results
    assert close(slope_of_scattered.gradient, slope.gradient)
    assert close(product_of_scattered, product)
