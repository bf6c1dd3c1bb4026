"""A whole meta-gradient as one CUDA graph.

A meta-gradient is thousands of small kernels, and a GPU is done with each sooner than the host has launched the next.
A CUDA graph holds them all, with the addresses that they read and write, and is launched at once. By recurrences it
can be captured: nothing there depends on what a tensor holds, copies from the host or waits for the device
(tests/bench/test_launches.py).

batch            copied into buffers that belong to the graph
meta-parameters  read where they are: the outer loop changes them in place
results          copied out after every replay, before another one can write there: all graphs share one memory pool,
                 which is allowed as they are replayed one after the other on one stream

A graph is for one set of shapes. Where the length of sequences changes from batch to batch, they are padded to a
multiple of 8 steps, so that few graphs are needed; padding changes no result (packing.py).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.gradients import Way, way
from hpo.meta.network import Metrics, Network
from hpo.meta.profile import component
from hpo.meta.switches import is_off
from hpo.meta.tasks.base import Episode, TaskBatch

_log = logging.getLogger(__name__)

_STEPS = 8  # sequences of changing length are padded to a multiple
_KEPT = 16  # graphs
_WARM_UPS = 3  # as in torch's documentation: kernels are loaded and libraries set up before a capture

# A capture that fails leaves its graph registered with torch's allocator, which must not outlive it (CUDAGraph.cpp).
_abandoned: list[torch.cuda.CUDAGraph] = []

Results = tuple[Params, Metrics]
MetaGradient = Callable[[Params, TaskBatch], Results]


def capturable(network: Network, device: torch.device) -> bool:
    """Whether this network's meta-gradients on this device go by graphs; HPO_CUDA_GRAPH=off says no."""
    return device.type == "cuda" and not is_off("HPO_CUDA_GRAPH") and way(network, device) is Way.RECURRENCES


@dataclass(frozen=True)
class Captured:
    """A graph with its buffers: it reads ``batch`` and writes ``results``."""

    graph: torch.cuda.CUDAGraph
    batch: TaskBatch
    results: Results

    def replay(self, batch: TaskBatch) -> Results:
        """The results for this batch, in memory of their own."""
        _load(self.batch.support, batch.support)
        _load(self.batch.query, batch.query)
        self.graph.replay()
        gradient, metrics = self.results
        accuracy = None if metrics.accuracy is None else metrics.accuracy.clone()
        return {name: tensor.clone() for name, tensor in gradient.items()}, Metrics(metrics.loss.clone(), accuracy)


class CudaGraphs:
    """One learner's graphs on one device, by shapes and the meta-parameters' addresses; those last used are kept.

    After a capture that failed, meta-gradients are computed kernel by kernel.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._captured: OrderedDict[Hashable, Captured] = OrderedDict()
        self._times: set[tuple[int, int]] = set()
        self._failed = False

    def __call__(self, compute: MetaGradient, meta: Params, batch: TaskBatch) -> Results:
        """What ``compute`` gives, which must be the same function in every call."""
        if self._failed:
            return compute(meta, batch)
        with component("meta-gradient"):  # nothing is timed inside: that would wait for the device
            captured = self._find_or_capture(compute, meta, batch)
            return compute(meta, batch) if captured is None else captured.replay(batch)

    def _find_or_capture(self, compute: MetaGradient, meta: Params, batch: TaskBatch) -> Captured | None:
        multiple = self._multiple(batch)
        key = _key(meta, batch, multiple)
        captured = self._captured.pop(key, None) or self._try_to_capture(compute, meta, padded(batch, multiple))
        if captured is not None:
            self._captured[key] = captured
        if len(self._captured) > _KEPT:  # after a capture: the device is idle, no graph is destroyed while it runs
            self._captured.popitem(last=False)
        return captured

    def _try_to_capture(self, compute: MetaGradient, meta: Params, buffers: TaskBatch) -> Captured | None:
        try:
            return self._capture(compute, meta, buffers)
        except RuntimeError as error:  # torch's, of CUDA and of running out of memory too
            self._failed = True
            self._captured.clear()
            reason = error.__context__ or error  # ending a capture that failed is an error of its own
            _log.warning(
                "no CUDA graph, meta-gradients are computed kernel by kernel, more slowly (HPO_CUDA_GRAPH=off does not"
                " try): %s",
                str(reason).partition("\n")[0],
            )
            return None

    def _capture(self, compute: MetaGradient, meta: Params, buffers: TaskBatch) -> Captured:
        """Records ``compute``; its results have no values before the first replay."""
        with self._side_stream():
            for _ in range(_WARM_UPS):
                compute(meta, buffers)
            graph = torch.cuda.CUDAGraph()
            _abandoned.append(graph)
            # thread_local: meanwhile the next batch is copied to the device by a thread of its own (prefetch.py)
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                results = compute(meta, buffers)
            _abandoned.remove(graph)
        return Captured(graph, buffers, results)

    @contextmanager
    def _side_stream(self) -> Iterator[None]:
        """Runs the block between what was launched before it and what is launched after it.

        Leaves the stream, and waits for it, also where the block fails: torch.cuda.graph alone does not.
        """
        outer = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(outer)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outer.wait_stream(self._stream)

    def _multiple(self, batch: TaskBatch) -> int:
        """What sequences are padded to a multiple of: 1 as long as all batches were equally long."""
        self._times.add((_time(batch.support), _time(batch.query)))
        return 1 if len(self._times) == 1 else _STEPS

    @cached_property
    def _stream(self) -> torch.cuda.Stream:
        """Of all captures: a shared pool is reused only on the same stream."""
        return torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    @cached_property
    def _pool(self) -> Any:
        return torch.cuda.graph_pool_handle()


def padded(batch: TaskBatch, multiple: int) -> TaskBatch:
    """A copy with sequences padded to a multiple of so many steps."""
    return TaskBatch(_padded(batch.support, multiple), _padded(batch.query, multiple))


def _padded(episode: Episode, multiple: int) -> Episode:
    inputs = episode.inputs.new_zeros(_shape(episode, multiple))
    copy = replace(
        episode,
        inputs=inputs,
        targets=torch.empty_like(episode.targets, memory_format=torch.contiguous_format),
        lengths=torch.empty_like(episode.lengths, memory_format=torch.contiguous_format),
    )
    _load(copy, episode)
    return copy


def _load(buffers: Episode, episode: Episode) -> None:
    """Copies an episode into buffers for at least as many steps."""
    time = _time(episode)
    buffers.inputs[:, :, :time].copy_(episode.inputs)
    buffers.inputs[:, :, time:].zero_()
    buffers.targets.copy_(episode.targets)
    buffers.lengths.copy_(episode.lengths)


def _key(meta: Params, batch: TaskBatch, multiple: int) -> Hashable:
    """All that a graph has fixed."""
    parameters = [(name, tensor.data_ptr(), tensor.stride(), *_kind(tensor)) for name, tensor in meta.items()]
    episodes = [
        (_shape(episode, multiple), episode.inputs.dtype, _kind(episode.targets), _kind(episode.lengths))
        for episode in (batch.support, batch.query)
    ]
    return (*parameters, *episodes)


def _kind(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype


def _shape(episode: Episode, multiple: int) -> tuple[int, ...]:
    """Of the padded inputs."""
    tasks, examples, time, *features = episode.inputs.shape
    return tasks, examples, -(-time // multiple) * multiple, *features


def _time(episode: Episode) -> int:
    return episode.inputs.shape[2]
