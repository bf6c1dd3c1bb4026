"""What of the CUDA graphs needs no GPU: what is captured is free of the host, buffers, padding, reuse, falling back.

The tests at the end capture; they are skipped without a GPU.
"""

from __future__ import annotations

import inspect
import itertools
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpo.config import TrialConfig
from hpo.config.training import TrainingConfig
from hpo.meta.cells import CELLS, Params
from hpo.meta.gradients import Way
from hpo.meta.learners import LEARNERS, cuda_graphs
from hpo.meta.learners.cuda_graphs import Captured, CudaGraphs, MetaGradient, Results, capturable, padded
from hpo.meta.learners.gradient_based import GradientBased
from hpo.meta.learners.inner_loop import InnerLoop
from hpo.meta.learners.maml import Maml
from hpo.meta.network import Metrics, Network
from hpo.meta.outer import Outer
from hpo.meta.packing import pack
from hpo.meta.prefetch import Prefetch
from hpo.meta.profile import profiled
from hpo.meta.tasks.base import Classes, Episode, Features, TaskBatch, Tokens, Values
from tests.bench.launches import Operators
from tests.meta.gradients.oracle import Case, cases, distance, loops, loss_of

Make = Callable[..., TrialConfig]
CPU = torch.device("cpu")
OTHERS: list[dict[str, Any]] = [
    {"kind": "maml", "rates": "learned"},
    {"kind": "anil"},
    {"kind": "meta_sgd"},
    {"kind": "reptile"},
    {"kind": "reptile", "batch": "serial"},
]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="captures a CUDA graph: needs a GPU")


def maml(trial_config: Make, *, tokens: bool = True, **changes: object) -> Maml:
    config = trial_config(**changes)
    reads, predicts = (Tokens(6), Classes(2)) if tokens else (Features(3), Values(2))
    return Maml(config.learner, Network(config.model, reads, predicts))


def other(trial_config: Make, options: dict[str, Any]) -> GradientBased:
    config = TrialConfig.from_dict(trial_config().to_dict() | {"learner": options})
    learner = LEARNERS[config.learner.kind](config.learner, Network(config.model, Tokens(6), Classes(2)))
    assert isinstance(learner, GradientBased)
    return learner


def batch_of(
    learner: GradientBased, time: int, seed: int = 0, device: torch.device | str = CPU,
    dtype: torch.dtype = torch.float64,
) -> TaskBatch:  # fmt: skip
    """Sequences of random lengths up to ``time``, 3 tasks."""
    numbers = torch.Generator().manual_seed(seed)

    def episode(examples: int) -> Episode:
        lengths = torch.randint(1, time + 1, (3, examples), generator=numbers)
        valid = torch.arange(time) < lengths.unsqueeze(2)
        if isinstance(learner.network.input, Tokens):
            inputs = torch.randint(1, 6, (3, examples, time), generator=numbers) * valid
            return Episode(inputs, torch.randint(0, 2, (3, examples), generator=numbers), lengths)
        inputs = torch.randn(3, examples, time, 3, generator=numbers) * valid.unsqueeze(3)
        return Episode(inputs, torch.randn(3, examples, 2, generator=numbers), lengths)

    return TaskBatch(episode(4), episode(6)).to(device, dtype)


def parameters(learner: GradientBased, device: torch.device | str = CPU, dtype: torch.dtype = torch.float64) -> Params:
    fresh = learner.init(torch.Generator().manual_seed(0), dtype)
    return {name: tensor.to(device) for name, tensor in fresh.items()}


def assert_same(actual: Results, expected: Results, tolerance: float) -> None:
    assert distance(actual[0], expected[0]) < tolerance
    torch.testing.assert_close(actual[1].loss, expected[1].loss, rtol=tolerance, atol=tolerance)
    assert (actual[1].accuracy is None) == (expected[1].accuracy is None)
    if actual[1].accuracy is not None:
        torch.testing.assert_close(actual[1].accuracy, expected[1].accuracy, rtol=0, atol=1e-6)


# --- what is captured -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize(
    ("layers", "readout", "order"), [(1, "last", "second"), (2, "mean", "second"), (2, "last", "first")]
)
@pytest.mark.parametrize(
    ("cell", "nonlinearity"), [("rnn", "tanh"), ("rnn", "relu"), ("gru", "tanh"), ("lstm", "tanh")]
)
def test_nothing_comes_from_the_host_or_goes_there(
    trial_config: Make, monkeypatch: pytest.MonkeyPatch, cell: str, nonlinearity: str, layers: int, readout: str,
    order: str, tokens: bool, device: str,
) -> None:  # fmt: skip
    """A whole meta-gradient by recurrences in the dense layout.

    The device "meta" has that layout of its own, as any but the CPU, and no values that could be looked at; on the CPU
    operators show that have a way without looks for "meta" alone, as one_hot.
    """
    monkeypatch.setattr("hpo.meta.gradients.way", lambda *_: Way.RECURRENCES)
    if device == "cpu":
        monkeypatch.setattr("hpo.meta.network.pack", lambda lengths, time, dense: pack(lengths, time, dense=True))
    learner = maml(
        trial_config, tokens=tokens, model__cell=cell, model__nonlinearity=nonlinearity, model__layers=layers,
        model__readout=readout, learner__order=order,
    )  # fmt: skip
    meta, batch = parameters(learner, device), batch_of(learner, 5, device=device)
    for constructor in ("tensor", "as_tensor", "from_numpy"):  # below what Operators sees
        monkeypatch.delattr(torch, constructor)
    with Operators() as operators:
        gradient, _ = learner.meta_gradient(meta, batch)
    assert gradient.keys() == meta.keys()
    assert operators.total > 100
    assert not operators.host
    assert operators.devices == {device}


@pytest.mark.parametrize("options", OTHERS, ids=str)
def test_nothing_comes_from_the_host_in_other_learners(
    trial_config: Make, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr("hpo.meta.gradients.way", lambda *_: Way.RECURRENCES)
    learner = other(trial_config, options)
    meta, batch = parameters(learner, "meta"), batch_of(learner, 5, device="meta")
    with Operators() as operators:
        gradient, _ = learner.meta_gradient(meta, batch)
    assert gradient.keys() == meta.keys()
    assert not operators.host
    assert operators.devices == {"meta"}


@settings(max_examples=40, deadline=None)
@given(data=st.data(), way=st.sampled_from(["recurrences", "autograd"]))
def test_the_dense_layout_changes_nothing(data: st.DataObject, way: str) -> None:
    case: Case = data.draw(cases())
    loop: InnerLoop = replace(data.draw(loops(case)), learn_rates=False)

    def result(dense: bool) -> Params:
        support, query = (
            loss_of(way, case.network, episode, case.network.pack(episode, dense=dense))
            for episode in (case.support, case.query)
        )
        return loop.meta_gradient(case.theta, support, query).theta

    expected = result(dense=False)
    assume(all(tensor.square().isfinite().all() for tensor in expected.values()))  # relu can diverge
    assert distance(result(dense=True), expected) < 1e-12


@settings(max_examples=40, deadline=None)
@given(data=st.data(), multiple=st.sampled_from([1, 3, 8]), dense=st.booleans())
def test_padding_changes_nothing(data: st.DataObject, multiple: int, dense: bool) -> None:
    case: Case = data.draw(cases())
    loop = InnerLoop([dict.fromkeys(case.network.names, 0.1)] * 2, second=True, weights=(0.0, 0.0, 1.0))
    batch = TaskBatch(case.support, case.query)

    def result(batch: TaskBatch) -> Params:
        support, query = (
            loss_of("recurrences", case.network, episode, case.network.pack(episode, dense=dense))
            for episode in (batch.support, batch.query)
        )
        return loop.meta_gradient(case.theta, support, query).theta

    longer, expected = padded(batch, multiple), result(batch)
    assume(all(tensor.square().isfinite().all() for tensor in expected.values()))  # relu can diverge
    assert longer.support.inputs.shape[2] % multiple == longer.query.inputs.shape[2] % multiple == 0
    assert distance(result(longer), expected) < 1e-12


# --- buffers, reuse and falling back ----------------------------------------------------------------------------------


class Replayed:
    """Stands for a CUDA graph: computes again from the same memory into the same memory."""

    def __init__(self, compute: MetaGradient, meta: Params, batch: TaskBatch) -> None:
        self._compute = lambda: compute(meta, batch)
        gradient, metrics = self._compute()
        accuracy = None if metrics.accuracy is None else torch.full_like(metrics.accuracy, torch.nan)
        nothing = {name: torch.full_like(tensor, torch.nan) for name, tensor in gradient.items()}
        self.results: Results = (nothing, Metrics(torch.full_like(metrics.loss, torch.nan), accuracy))

    def replay(self) -> None:
        gradient, metrics = self._compute()
        for name, tensor in gradient.items():
            self.results[0][name].copy_(tensor)
        self.results[1].loss.copy_(metrics.loss)
        if metrics.accuracy is not None:
            self.results[1].accuracy.copy_(metrics.accuracy)


class Emulated(CudaGraphs):
    """Its logic without a GPU."""

    def __init__(self) -> None:
        super().__init__(CPU)
        self.captures = 0

    def _capture(self, compute: MetaGradient, meta: Params, buffers: TaskBatch) -> Captured:
        self.captures += 1
        graph = Replayed(compute, meta, buffers)
        return Captured(graph, buffers, graph.results)


@pytest.mark.parametrize("tokens", [True, False])
def test_follows_the_meta_parameters_and_changing_lengths(trial_config: Make, tokens: bool) -> None:
    learner, graphs = maml(trial_config, tokens=tokens), Emulated()
    meta = parameters(learner)
    outer, kept = Outer(meta, TrainingConfig(outer_lr=0.01)), []
    for seed, time in enumerate([5, 5, 7, 9, 3, 16, 5]):
        batch = batch_of(learner, time, seed)
        expected = learner._meta_gradient(meta, batch)
        kept.append((graphs(learner._meta_gradient, meta, batch), expected))
        outer.step(expected[0])
    for actual, expected in kept:  # all of them after the last replay: results are the caller's own
        assert_same(actual, expected, 1e-12)
    assert graphs.captures == 3  # 5 steps, then up to 8 and up to 16


def test_equally_long_sequences_are_not_padded(trial_config: Make) -> None:
    learner, graphs = maml(trial_config), Emulated()
    for seed in range(3):
        graphs(learner._meta_gradient, parameters(learner), batch_of(learner, 5, seed))
    assert {captured.batch.support.inputs.shape[2] for captured in graphs._captured.values()} == {5}


def test_other_addresses_are_another_graph(trial_config: Make) -> None:
    learner, graphs = maml(trial_config), Emulated()
    batch, sets = batch_of(learner, 5), [parameters(learner) for _ in range(2)]
    for meta in sets * 2:
        graphs(learner._meta_gradient, meta, batch)
    assert graphs.captures == 2


def test_the_graphs_used_last_are_kept(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "_KEPT", 2)
    learner, graphs = maml(trial_config), Emulated()
    meta = parameters(learner)
    captures = []
    for time in (1, 8, 16, 8, 24, 8, 16):  # the first is not padded
        graphs(learner._meta_gradient, meta, batch_of(learner, time))
        captures.append(graphs.captures)
    assert captures == [1, 2, 3, 3, 4, 4, 5]


def test_a_capture_that_fails_is_said_once_and_not_tried_again(
    trial_config: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> Captured:
        try:
            raise RuntimeError("operation not permitted when stream is capturing\nmore about it")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    learner, graphs = maml(trial_config), Emulated()
    monkeypatch.setattr(graphs, "_capture", fail)
    meta = parameters(learner)
    with caplog.at_level(logging.WARNING):
        for seed in range(3):
            batch = batch_of(learner, 5, seed)
            assert_same(graphs(learner._meta_gradient, meta, batch), learner._meta_gradient(meta, batch), 1e-15)
    (record,) = caplog.records
    assert "operation not permitted when stream is capturing" in record.message
    assert "HPO_CUDA_GRAPH=off" in record.message
    assert "\n" not in record.message


def test_bugs_are_not_taken_for_a_capture_that_failed(trial_config: Make) -> None:
    learner = maml(trial_config)

    def wrong(*_: object) -> Results:
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        Emulated()(wrong, parameters(learner), batch_of(learner, 5))


def test_a_profile_does_not_look_inside(trial_config: Make) -> None:
    learner = maml(trial_config)
    with profiled() as profile:
        Emulated()(learner._meta_gradient, parameters(learner), batch_of(learner, 5))
    assert profile.seconds.keys() == {"meta-gradient"}


@pytest.mark.parametrize(
    ("value", "expected"), [("", True), ("on", True), ("off", False), ("OFF", False), ("0", False)]
)
def test_which_meta_gradients_go_by_graphs(
    trial_config: Make, monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    network = maml(trial_config).network
    monkeypatch.setenv("HPO_CUDA_GRAPH", value)
    assert capturable(network, torch.device("cuda:0")) is expected
    assert not capturable(network, CPU)
    monkeypatch.setitem(CELLS, "lstm", replace(CELLS["lstm"], recurrence=None))
    assert not capturable(maml(trial_config, model__cell="lstm").network, torch.device("cuda:0"))


class Recorder:
    """Stands for torch.cuda: tells what is called, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.current = self.default = self.Stream()
        for name in ("Stream", "stream", "graph", "current_stream"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
        monkeypatch.setattr(torch.cuda, "CUDAGraph", object)

    def Stream(self, *_: object) -> SimpleNamespace:  # noqa: N802
        stream = SimpleNamespace()
        stream.wait_stream = lambda other: self.events.append(f"{self._name(stream)} waits for {self._name(other)}")
        return stream

    def _name(self, stream: object) -> str:
        return "default" if stream is self.default else "side"

    def current_stream(self, device: torch.device) -> SimpleNamespace:
        assert device == CPU
        return self.current

    @contextmanager
    def stream(self, stream: SimpleNamespace) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, *args: object, **kwargs: object) -> Iterator[None]:
        given = SIGNATURE.bind(*args, **kwargs).arguments
        assert (given["pool"], given["stream"], given["capture_error_mode"]) == ("pool", self.current, "thread_local")
        self.events.append("begin")
        try:
            yield
        finally:
            self.events.append("end")

    def compute(self, *_: object) -> Results:
        assert self.current is not self.default
        self.events.append("compute")
        return {}, Metrics(torch.zeros(1), None)


SIGNATURE = inspect.signature(torch.cuda.graph)


def test_a_capture_follows_warm_ups_on_a_stream_of_its_own(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    captured = CudaGraphs(CPU)._capture(recorder.compute, {}, batch_of(maml(trial_config), 5))
    warm_ups = ["compute"] * 3
    around = ["side waits for default", *warm_ups, "begin", "compute", "end", "default waits for side"]
    assert recorder.events == around
    assert captured.graph not in cuda_graphs._abandoned


def test_a_capture_that_fails_leaves_the_stream_and_keeps_the_graph(
    trial_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(monkeypatch)
    monkeypatch.setattr(cuda_graphs, "_abandoned", [])

    def fail(*_: object) -> Results:
        if "begin" in recorder.events:
            raise RuntimeError("not permitted")
        return recorder.compute()

    with pytest.raises(RuntimeError, match="not permitted"):
        CudaGraphs(CPU)._capture(fail, {}, batch_of(maml(trial_config), 5))
    assert recorder.current is recorder.default
    assert recorder.events[-2:] == ["end", "default waits for side"]
    assert len(cuda_graphs._abandoned) == 1


# --- on a GPU ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    monkeypatch.delenv("HPO_CUDA_GRAPH", raising=False)
    yield torch.device("cuda", torch.cuda.current_device())
    torch.cuda.synchronize()


def captured_of(learner: GradientBased) -> list[Captured]:
    return [captured for graphs in learner._graphs.values() for captured in graphs._captured.values()]


@needs_cuda
@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize(
    ("layers", "readout", "order"), [(1, "last", "second"), (2, "mean", "second"), (1, "last", "first")]
)
@pytest.mark.parametrize(
    ("cell", "nonlinearity"), [("rnn", "tanh"), ("rnn", "relu"), ("gru", "tanh"), ("lstm", "tanh")]
)
def test_graphs_equal_eager(
    trial_config: Make, cuda: torch.device, cell: str, nonlinearity: str, layers: int, readout: str, order: str,
    tokens: bool,
) -> None:  # fmt: skip
    learner = maml(
        trial_config, tokens=tokens, model__cell=cell, model__nonlinearity=nonlinearity, model__layers=layers,
        model__readout=readout, learner__order=order,
    )  # fmt: skip
    meta = parameters(learner, cuda, torch.float32)
    outer, kept = Outer(meta, TrainingConfig(outer_lr=0.01)), []
    for seed, time in enumerate([5, 5, 7, 9, 3, 16, 5, 12]):
        batch = batch_of(learner, time, seed, cuda, torch.float32)
        expected = learner._meta_gradient(meta, batch)
        kept.append((learner.meta_gradient(meta, batch), expected))
        outer.step(expected[0])
    for actual, expected in kept:
        assert_same(actual, expected, 1e-5)
    assert len(captured_of(learner)) == 3


@needs_cuda
@pytest.mark.parametrize("options", OTHERS, ids=str)
def test_graphs_equal_eager_in_other_learners(trial_config: Make, cuda: torch.device, options: dict[str, Any]) -> None:
    learner = other(trial_config, options)
    meta = parameters(learner, cuda, torch.float32)
    outer, kept = Outer(meta, TrainingConfig(outer_lr=0.01)), []
    for seed in range(4):
        batch = batch_of(learner, 5, seed, cuda, torch.float32)
        expected = learner._meta_gradient(meta, batch)
        kept.append((learner.meta_gradient(meta, batch), expected))
        outer.step(expected[0])
    for actual, expected in kept:
        assert_same(actual, expected, 1e-5)
    assert len(captured_of(learner)) == 1


@needs_cuda
def test_graphs_are_captured_while_another_thread_copies_to_the_device(trial_config: Make, cuda: torch.device) -> None:
    learner = maml(trial_config)
    meta = parameters(learner, cuda, torch.float32)
    times = itertools.cycle([5, 9, 17, 25, 33])
    made = [(seed, time) for seed, time in zip(range(40), times, strict=False)]

    def make(number: int) -> TaskBatch:
        return batch_of(learner, made[number][1], made[number][0], cuda, torch.float32)

    with closing(Prefetch(make, len(made))) as batches:
        for number in range(len(made)):
            batch = batches(number)
            assert_same(learner.meta_gradient(meta, batch), learner._meta_gradient(meta, batch), 1e-5)
    assert not any(graphs._failed for graphs in learner._graphs.values())
    assert len(captured_of(learner)) == 6


FAILING = """
import logging, sys
import torch
from hpo.config.learner import MamlConfig
from hpo.config.model import ModelConfig
from hpo.meta.learners.cuda_graphs import CudaGraphs
from hpo.meta.learners.maml import Maml
from hpo.meta.network import Network
from hpo.meta.tasks.base import Episode, Features, TaskBatch, Values

logging.basicConfig(stream=sys.stdout)
device = torch.device("cuda", torch.cuda.current_device())
learner = Maml(MamlConfig(kind="maml"), Network(ModelConfig(hidden_size=4), Features(3), Values(2)))
meta = {name: tensor.to(device) for name, tensor in learner.init(torch.Generator().manual_seed(0)).items()}
episode = Episode(torch.randn(2, 3, 5, 3), torch.randn(2, 3, 2), torch.full((2, 3), 5)).to(device)
batch = TaskBatch(episode, episode)

def waiting(meta, batch):
    gradient, metrics = learner._meta_gradient(meta, batch)
    float(metrics.loss.sum())
    return gradient, metrics

before = torch.cuda.current_stream(device)
expected, _ = learner._meta_gradient(meta, batch)
graphs = CudaGraphs(device)
for _ in range(3):
    gradient, _ = graphs(waiting, meta, batch)
    for name in meta:
        torch.testing.assert_close(gradient[name], expected[name])
assert graphs._failed
assert torch.cuda.current_stream(device) == before
gradient, _ = learner.meta_gradient(meta, batch)  # another learner of the process captures as ever
for name in meta:
    torch.testing.assert_close(gradient[name], expected[name])
"""


@needs_cuda
def test_eager_goes_on_where_a_capture_fails(cuda: torch.device) -> None:
    """In a process of its own: a capture that failed leaves traces in torch's allocator."""
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", FAILING], cwd=root, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("no CUDA graph") == 1
