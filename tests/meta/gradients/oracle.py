"""Random inner loops and episodes, and their derivatives by plain autograd through the graph of the whole loop."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from hpo.config.model import ModelConfig
from hpo.meta.accelerator.build import INSTRUCTION_SETS, BuildError, build, instruction_set
from hpo.meta.cells import CELLS, Params, rnn
from hpo.meta.gradients import EpisodeLoss
from hpo.meta.gradients.by_accelerator import AcceleratedLoss
from hpo.meta.gradients.by_autograd import AutogradLoss
from hpo.meta.gradients.by_recurrences import RecurrenceLoss
from hpo.meta.learners.inner_loop import InnerLoop, Rates
from hpo.meta.network import Network, Sequences
from hpo.meta.tasks import Classes, Episode, Features, Tokens, Values

CONFIGS = {
    "rnn_tanh": ("rnn", "tanh"),
    "rnn_relu": ("rnn", "relu"),
    "gru": ("gru", "tanh"),
    "lstm": ("lstm", "tanh"),
}
_SETS = list(INSTRUCTION_SETS)
_SUPPORTED = _SETS[_SETS.index(instruction_set()) :]  # each processor runs the ones after its own
WAYS = ["autograd", "recurrences", _SUPPORTED[0]]
OTHER_BUILDS = _SUPPORTED[1:]

DIVERGED = 100.0  # a meta-gradient's norm; it is about 1


def loss_of(way: str, network: Network, episode: Episode, sequences: Sequences | None = None) -> EpisodeLoss:
    """``way``: autograd, recurrences, or the instruction set that the accelerator is built for."""
    sequences = sequences or network.pack(episode)
    if way == "autograd":
        return AutogradLoss(network, sequences, episode.targets)
    if way == "recurrences":
        return RecurrenceLoss(network, sequences, episode.targets)
    return AcceleratedLoss(network, sequences, episode.targets, compiled(way))


@cache
def compiled(instructions: str) -> ctypes.CDLL:
    """The library for this instruction set; skips where there is no compiler."""
    try:
        return ctypes.CDLL(str(build(instructions)))
    except BuildError as error:
        if "no C++ compiler" in str(error):
            pytest.skip(str(error))
        raise


@dataclass(frozen=True)
class Case:
    """A network with each task's parameters (tasks, *shape), and what it is trained on. All numbers are float32's."""

    network: Network
    theta: Params
    support: Episode
    query: Episode
    seed: int

    def __repr__(self) -> str:
        sets = (self.support.lengths, self.query.lengths)
        return f"Case({self.network}, lengths={[lengths.tolist() for lengths in sets]}, seed={self.seed})"

    def to(self, dtype: torch.dtype) -> Case:
        theta = {name: tensor.to(dtype) for name, tensor in self.theta.items()}
        return replace(self, theta=theta, support=self.support.to(dtype=dtype), query=self.query.to(dtype=dtype))


@st.composite
def cases(draw: st.DrawFn, cell: str | None = None, min_tasks: int = 1) -> Case:
    """In float64. Tokens, of fewer or more kinds than packed rows, or features; classes or values; ragged or not."""
    kind, nonlinearity = CONFIGS[cell or draw(st.sampled_from(sorted(CONFIGS)))]
    config = ModelConfig.model_validate(
        {
            "cell": kind,
            "nonlinearity": nonlinearity,
            "hidden_size": draw(st.one_of(st.integers(1, 9), st.sampled_from([16, 17]))),
            "layers": draw(st.integers(1, 3)),
            "embedding_size": draw(st.integers(1, 6)),
            "readout": draw(st.sampled_from(["last", "mean"])),
        }
    )
    vocabularies = st.one_of(st.integers(2, 6), st.integers(30, 50))
    reads = draw(st.one_of(st.builds(Tokens, vocabularies), st.builds(Features, st.integers(1, 5))))
    predicts = draw(st.one_of(st.builds(Classes, st.integers(2, 4)), st.builds(Values, st.integers(1, 3))))
    network = Network(config, reads, predicts)
    tasks, time, ragged = draw(st.integers(min_tasks, 4)), draw(st.integers(1, 6)), draw(st.booleans())
    seed = draw(st.integers(0, 2**32))
    numbers = torch.Generator().manual_seed(seed)
    support, query = (_episode(network, tasks, draw(st.integers(1, 5)), time, ragged, numbers) for _ in range(2))
    if isinstance(predicts, Values):  # predictions must not come close to what the query set has: all would cancel
        support, query = replace(support, targets=-support.targets), replace(query, targets=1 + query.targets)
    sets = [network.init(numbers) for _ in range(tasks)]
    theta = {name: torch.stack([params[name] for params in sets]) for name in sets[0]}
    theta = {name: tensor + 0.2 * torch.randn(tensor.shape, generator=numbers) for name, tensor in theta.items()}
    if draw(st.booleans()):
        theta = {name: tensor[:1].expand_as(tensor) for name, tensor in theta.items()}
    return Case(network, theta, support, query, seed).to(torch.float64)


def _episode(network: Network, tasks: int, examples: int, time: int, ragged: bool, numbers: torch.Generator) -> Episode:
    shape = (tasks, examples)
    lengths = torch.full(shape, time)
    if ragged:
        lengths = torch.randint(1, time + 1, shape, generator=numbers)
    valid = torch.arange(time) < lengths.unsqueeze(2)
    if isinstance(network.input, Tokens):
        inputs = torch.randint(0, network.input.vocabulary, (*shape, time), generator=numbers) * valid
    else:
        inputs = torch.randn(*shape, time, network.input.size, generator=numbers) * valid.unsqueeze(3)
    if isinstance(network.output, Classes):
        return Episode(inputs, torch.randint(0, network.output.ways, shape, generator=numbers), lengths)
    return Episode(inputs, torch.rand(*shape, network.output.size, generator=numbers), lengths)


@st.composite
def subsets(draw: st.DrawFn, network: Network) -> list[str]:
    """Of the parameters' names: whole parts, or any."""
    names = network.names
    top = f"cell{network.config.layers - 1}."
    parts = {
        "all": names,
        "all but the table": [name for name in names if name != "embedding"],
        "table": [name for name in names if name == "embedding"],
        "head": [name for name in names if name.startswith("head.")],
        "cells": [name for name in names if name.startswith("cell")],
        "top": [name for name in names if name.startswith(top)],
        "any": draw(st.lists(st.sampled_from(names), min_size=1, unique=True)),
    }
    return parts[draw(st.sampled_from([part for part, chosen in parts.items() if chosen]))]


@st.composite
def loops(draw: st.DrawFn, case: Case) -> InnerLoop:
    """Every option; rates are numbers, or tensors that a layer, a parameter, a task or a coordinate has for its own."""
    names, steps = draw(subsets(case.network)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["number", "layer", "parameter", "task", "coordinate"]))
    numbers = torch.Generator().manual_seed(case.seed + 1)
    if draw(st.booleans()):  # each step has its own
        rates = [_rates(kind, names, case.theta, numbers) for _ in range(steps)]
    else:
        rates = [_rates(kind, names, case.theta, numbers)] * steps
    weights = [0.0] * steps
    if draw(st.booleans()):
        weights = draw(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=steps, max_size=steps))
    return InnerLoop(
        rates,
        second=draw(st.booleans()),
        weights=(*weights, draw(st.sampled_from([1.0, 0.5]))),
        learn_rates=draw(st.booleans()),
        recompute=draw(st.booleans()),
    )


def _rates(kind: str, names: Sequence[str], theta: Params, numbers: torch.Generator) -> Rates:
    def drawn(*shape: int) -> Tensor:  # float32's numbers
        return torch.empty(shape).uniform_(0.01, 0.1, generator=numbers).double().requires_grad_()

    if kind == "number":
        return dict.fromkeys(names, float(drawn().detach()))
    if kind == "layer":
        own = {name.partition(".")[0]: drawn() for name in names}
        return {name: own[name.partition(".")[0]] for name in names}
    if kind == "parameter":
        return {name: drawn() for name in names}
    if kind == "task":
        return {name: drawn(theta[name].shape[0], *[1] * (theta[name].ndim - 1)) for name in names}
    return {name: drawn(*theta[name].shape) for name in names}


def with_dtype(loop: InnerLoop, dtype: torch.dtype) -> InnerLoop:
    """The same tensor stays the same tensor."""
    tensors = {id(rate): rate for rates in loop.rates for rate in rates.values() if isinstance(rate, Tensor)}
    converted = {key: rate.detach().to(dtype).requires_grad_() for key, rate in tensors.items()}
    rates = [{name: converted.get(id(rate), rate) for name, rate in own.items()} for own in loop.rates]
    return replace(loop, rates=rates)


@dataclass(frozen=True)
class Expected:
    """theta (tasks, *shape); rates like those of the loop, summed over all places where the same tensor stands."""

    theta: Params
    rates: list[Params]
    predictions: Tensor


def through_the_graph(case: Case, loop: InnerLoop) -> Expected:
    """Of :func:`whole_graph`; rejects the example if the loop diverges, as it may with relu: nothing is exact there."""
    found = whole_graph(case, loop)
    assume(norm(found.theta.values()) < DIVERGED)
    return found


def whole_graph(case: Case, loop: InnerLoop) -> Expected:
    """Plain MAML: autograd all the way from the weighted query losses to theta and the rates."""
    network = case.network
    support, query = network.pack(case.support), network.pack(case.query)
    theta = {name: tensor.detach().clone().requires_grad_() for name, tensor in case.theta.items()}
    leaves: dict[Any, Tensor] = {}
    rates_of: list[Params] = []
    for step, rates in enumerate(loop.rates):
        own = {}
        for name, rate in rates.items():
            key = id(rate) if isinstance(rate, Tensor) else (step, name)
            leaves.setdefault(key, torch.as_tensor(rate, dtype=torch.float64).detach().clone().requires_grad_())
            own[name] = leaves[key]
        rates_of.append(own)
    phi, total = theta, torch.zeros((), dtype=torch.float64)
    for rates, weight in zip(rates_of, loop.weights, strict=False):
        total = total + weight * network.loss(network.forward(phi, query), case.query.targets).sum()
        loss = network.loss(network.forward(phi, support), case.support.targets)
        gradients = torch.autograd.grad(loss.sum(), [phi[name] for name in rates], create_graph=True)
        if not loop.second:
            gradients = tuple(gradient.detach() for gradient in gradients)
        phi = phi | {name: phi[name] - rates[name] * g for name, g in zip(rates, gradients, strict=True)}
    predictions = network.forward(phi, query)
    loss = network.loss(predictions, case.query.targets)
    wanted = [*theta.values(), *leaves.values()]
    derivatives = torch.autograd.grad(total + loop.weights[-1] * loss.sum(), wanted)
    by_rate = dict(zip(leaves, derivatives[len(theta) :], strict=True))
    by_leaf = {id(leaf): by_rate[key] for key, leaf in leaves.items()}
    return Expected(
        dict(zip(theta, derivatives, strict=False)),
        [{name: by_leaf[id(leaf)] for name, leaf in rates.items()} for rates in rates_of],
        predictions.detach(),
    )


def _to_the_rates(loop: InnerLoop, by_rates: Sequence[Params]) -> list[Params]:
    """Sums an InnerLoop's derivatives by the rates as Expected has them."""
    sums: dict[Any, Tensor] = {}
    keys = []
    for step, (rates, derivatives) in enumerate(zip(loop.rates, by_rates, strict=True)):
        assert rates.keys() == derivatives.keys()
        keys.append({name: id(rate) if isinstance(rate, Tensor) else (step, name) for name, rate in rates.items()})
        for name, rate in rates.items():
            part = derivatives[name].sum_to_size(rate.shape if isinstance(rate, Tensor) else ())
            sums[keys[-1][name]] = sums.get(keys[-1][name], 0.0) + part
    return [{name: sums[key] for name, key in own.items()} for own in keys]


def relative_error(actual: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """Of all numbers together."""
    pairs = [(a.double(), b.double()) for a, b in zip(actual, expected, strict=True)]
    assert all(a.shape == b.shape for a, b in pairs)
    difference = norm(a - b for a, b in pairs)
    return difference / norm(b for _, b in pairs) if difference else 0.0


def norm(tensors: Iterable[Tensor]) -> float:
    """Of all numbers together."""
    return sum(float(tensor.double().square().sum()) for tensor in tensors) ** 0.5


def error_of_rates(loop: InnerLoop, by_rates: Sequence[Params], expected: Sequence[Params]) -> float:
    """Relative to what is summed over the places where a rate stands: the terms may cancel to anything."""
    terms = [{name: tensor.abs() for name, tensor in own.items()} for own in by_rates]
    sums, sizes = _to_the_rates(loop, by_rates), _to_the_rates(loop, terms)
    places = [(step, name) for step, own in enumerate(expected) for name in own]
    difference = norm(sums[step][name].double() - expected[step][name] for step, name in places)
    return difference / norm(sizes[step][name] for step, name in places) if difference else 0.0


def distance(actual: Params, expected: Params) -> float:
    """The relative error of parameters by name."""
    assert actual.keys() == expected.keys()
    return relative_error([actual[name] for name in expected], expected.values())


def nearest_kink(compute: Callable[[], object]) -> float:
    """The smallest |a| in relu(a) over all forward passes of rnn_relu during ``compute``."""
    smallest = torch.inf

    def activation(a: Tensor) -> Tensor:
        nonlocal smallest
        smallest = min(smallest, float(a.detach().abs().min()))
        return a.relu()

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CELLS, "rnn_relu", replace(CELLS["rnn_relu"], scan=partial(rnn.scan, activation)))
        compute()
    return smallest
