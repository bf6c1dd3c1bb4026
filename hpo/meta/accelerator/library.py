"""The compiled library's functions, with torch tensors in and out; problem.h and entry.cpp say what they compute."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

CELLS = {"rnn_tanh": 0, "rnn_relu": 1, "gru": 2, "lstm": 3}
READOUTS = {"last": 0, "mean": 1}
PASSES = ("forward", "adjoint", "tangent", "curvature")
LOSSES = {"cross_entropy": 0, "mse": 1}
_ERRORS = {
    1: "bad network sizes",
    2: "bad episode sizes",
    3: "an index is out of range",
    4: "out of memory",
    5: "a missing argument",
}
_SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}


class AcceleratorError(RuntimeError):
    """The library refused its arguments or ran out of memory."""


class _Network(ctypes.Structure):
    """struct Network of problem.h."""

    _fields_ = [
        (name, ctypes.c_int32)
        for name in ("cell", "layers", "hidden", "input_size", "vocabulary", "outputs", "readout", "loss")
    ]


class _Episode(ctypes.Structure):
    """struct Episode of problem.h."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("tasks", "examples", "steps", "packed")),
        *((name, ctypes.c_void_p) for name in ("sizes", "rows", "example", "share", "last", "targets")),
    ]


@dataclass(frozen=True)
class Shape:
    """A network: cell, readout and loss by the names in CELLS, READOUTS and LOSSES; vocabulary 0 for real features."""

    cell: str
    layers: int
    hidden: int
    input_size: int
    vocabulary: int
    outputs: int
    readout: str
    loss: str


@dataclass(frozen=True)
class Batch:
    """Packed examples of some tasks.

    sizes   examples at each step, never growing; packed = sum(sizes)
    rows    (tasks, packed) tokens, int64, or (tasks, packed, input_size) features of the parameters' dtype
    example (tasks, packed) int64, which example a row belongs to
    share   (tasks, packed) float64, a row's weight in the mean over its example
    last    (tasks, examples) int64, the row of an example's last step
    targets (tasks, examples) classes, int64, or (tasks, examples, outputs) values of the parameters' dtype
    """

    sizes: Sequence[int]
    rows: Tensor
    example: Tensor
    share: Tensor
    last: Tensor
    targets: Tensor


class Trace:
    """What ``gradient`` leaves for ``hessian_product``, for all tasks; ``buffer`` has at least the bytes asked for.

    Buffers are used again: the page faults of fresh memory took up to a third of the time of a traced gradient.
    """

    _free: ClassVar[list[Tensor]] = []
    _lock: ClassVar[threading.RLock] = threading.RLock()  # reentrant: __del__ may run wherever memory is allocated

    def __init__(self, size: int):
        with self._lock:
            fitting = [index for index, free in enumerate(self._free) if size <= free.numel() <= 2 * size]
            if fitting:
                self.buffer = self._free.pop(fitting[0])
                return
            self._free.clear()  # of another network or episode
        self.buffer = torch.empty(size + size // 8, dtype=torch.uint8)

    def __del__(self) -> None:
        if hasattr(self, "buffer"):
            self._free.append(self.buffer)


def take_pass_seconds(library: ctypes.CDLL) -> dict[str, float]:
    """Seconds of all threads in each pass since the last call."""
    seconds = (ctypes.c_double * len(PASSES))()
    library.accelerator_take_seconds(seconds)
    return dict(zip(PASSES, seconds, strict=True))


class Library:
    """The functions of a loaded library, for one network and one dtype of parameters (float32 or float64).

    Parameters, directions and results are lists in the order [embedding], w_ih, w_hh, b_ih, b_hh of every layer,
    head.weight, head.bias; each tensor is (tasks, *shape) with contiguous blocks, an ``expand`` over tasks included.
    """

    def __init__(self, library: ctypes.CDLL, shape: Shape, dtype: torch.dtype):
        suffix = _SUFFIXES[dtype]
        self.shape = shape
        self.dtype = dtype
        self._trace_bytes = getattr(library, f"accelerator_trace_bytes_{suffix}")
        self._trace_bytes.restype = ctypes.c_int64
        self._gradient = getattr(library, f"accelerator_gradient_{suffix}")
        self._hessian_product = getattr(library, f"accelerator_hessian_product_{suffix}")
        self._network = _Network(
            CELLS[shape.cell],
            shape.layers,
            shape.hidden,
            shape.input_size,
            shape.vocabulary,
            shape.outputs,
            READOUTS[shape.readout],
            LOSSES[shape.loss],
        )

    def trace(self, batch: Batch) -> Trace:
        """An empty trace for ``gradient`` to fill; raises AcceleratorError if the library refuses the sizes."""
        episode = _Arguments(batch, self)
        size = self._trace_bytes(ctypes.byref(self._network), ctypes.byref(episode.structure))
        if size < 0:
            raise AcceleratorError("bad network or episode sizes")
        return Trace(batch.rows.shape[0] * size)

    def gradient(
        self,
        batch: Batch,
        params: Sequence[Tensor],
        wanted: Sequence[bool],
        trace: Trace | None = None,
        threads: int = 1,
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Predictions (tasks, examples, outputs) and the wanted gradients; fills ``trace``."""
        episode = _Arguments(batch, self)
        tasks, examples = batch.last.shape
        predictions = torch.empty(tasks, examples, self.shape.outputs, dtype=self.dtype)
        gradients = [self._result(param) if want else None for param, want in zip(params, wanted, strict=True)]
        code = self._gradient(
            ctypes.byref(self._network),
            ctypes.byref(episode.structure),
            self._pointers(params),
            _strides(params),
            _pointer(predictions),
            self._pointers(gradients),
            _pointer(trace.buffer if trace else None),
            threads,
        )
        _check(code)
        return predictions, gradients

    def hessian_product(
        self,
        batch: Batch,
        params: Sequence[Tensor],
        direction: Sequence[Tensor | None],
        trace: Trace | None = None,
        threads: int = 1,
    ) -> list[Tensor]:
        """The products for all parameters; ``trace`` as ``gradient`` filled it for the same batch and parameters.

        None in ``direction`` stands for zeros, None as ``trace`` for computing it again.
        """
        episode = _Arguments(batch, self)
        products = [self._result(param) for param in params]
        code = self._hessian_product(
            ctypes.byref(self._network),
            ctypes.byref(episode.structure),
            self._pointers(params),
            _strides(params),
            _pointer(trace.buffer if trace else None),
            self._pointers(direction),
            _strides(direction),
            self._pointers(products),
            threads,
        )
        _check(code)
        return products

    def _result(self, like: Tensor) -> Tensor:
        return torch.empty(like.shape, dtype=self.dtype)

    def _pointers(self, tensors: Sequence[Tensor | None]) -> ctypes.Array[ctypes.c_void_p]:
        for tensor in tensors:
            if tensor is not None and (tensor.dtype != self.dtype or not _contiguous_blocks(tensor)):
                raise AcceleratorError(f"a tensor is not {self.dtype} or its tasks' blocks are not contiguous")
        return (ctypes.c_void_p * len(tensors))(*[None if tensor is None else tensor.data_ptr() for tensor in tensors])


def load(path: Path, shape: Shape, dtype: torch.dtype) -> Library:
    """The library that build() has compiled at ``path``; raises OSError if it cannot be loaded."""
    return Library(ctypes.CDLL(str(path)), shape, dtype)


class _Arguments:
    """A batch as struct Episode; keeps what the pointers point to."""

    def __init__(self, batch: Batch, library: Library):
        tasks, examples = batch.last.shape
        rows_dtype = torch.int64 if library.shape.vocabulary else library.dtype
        targets_dtype = torch.int64 if library.shape.loss == "cross_entropy" else library.dtype
        packed = sum(batch.sizes)
        row = (tasks, packed)
        value = (tasks, examples)
        self._sizes = (ctypes.c_int64 * len(batch.sizes))(*batch.sizes)
        self._tensors = [
            _array(batch.rows, rows_dtype, row if library.shape.vocabulary else (*row, library.shape.input_size)),
            _array(batch.example, torch.int64, row),
            _array(batch.share, torch.float64, row),
            _array(batch.last, torch.int64, value),
            _array(
                batch.targets,
                targets_dtype,
                value if targets_dtype == torch.int64 else (*value, library.shape.outputs),
            ),
        ]
        self.structure = _Episode(
            tasks,
            examples,
            len(batch.sizes),
            packed,
            ctypes.addressof(self._sizes),
            *[tensor.data_ptr() for tensor in self._tensors],
        )


def _array(tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if tuple(tensor.shape) != shape:
        raise AcceleratorError(f"a batch's tensor is {tuple(tensor.shape)} where {shape} is expected")
    return tensor.to(dtype).contiguous()


def _contiguous_blocks(tensor: Tensor) -> bool:
    return tensor.shape[0] == 0 or tensor[0].is_contiguous()


def _strides(tensors: Sequence[Tensor | None]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(tensors))(*[0 if tensor is None else tensor.stride(0) for tensor in tensors])


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p | None:
    return None if tensor is None else ctypes.c_void_p(tensor.data_ptr())


def _check(code: int) -> None:
    if code:
        raise AcceleratorError(_ERRORS.get(code, f"error {code}"))
