"""The derivatives by the compiled library (hpo/meta/accelerator): by_recurrences.py in C++, task by task."""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hpo.meta.accelerator import Batch, Library, Shape, take_pass_seconds
from hpo.meta.cells import Params, cell_name
from hpo.meta.gradients.base import Slope
from hpo.meta.network import Network, Sequences
from hpo.meta.profile import parts
from hpo.meta.tasks.base import Tokens, Values
from hpo.meta.threads import accelerator_threads


@dataclass(frozen=True)
class AcceleratedLoss:
    """Implements EpisodeLoss on the CPU; a trace is the library's own, (tasks, bytes)."""

    network: Network
    sequences: Sequences
    targets: Tensor
    library: ctypes.CDLL

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return self.targets.shape[0]

    def predict(self, params: Params) -> Tensor:
        """See EpisodeLoss."""
        return self.slope(params, (), keep=False).predictions

    def slope(self, params: Params, names: Collection[str], *, keep: bool) -> Slope:
        """See EpisodeLoss."""
        tensors = self._ordered(params)
        library = self._library(tensors[0].dtype)
        trace = library.trace(self._batch) if keep else None
        wanted = [name in names for name in self.network.names]
        with parts(self._passes):
            threads = accelerator_threads()
            predictions, gradients = library.gradient(self._batch, tensors, wanted, trace, threads)
        by_name = dict(zip(self.network.names, gradients, strict=True))
        own = {name: gradient for name in names if (gradient := by_name[name]) is not None}
        return Slope(predictions, own, trace)

    def curvature(self, params: Params, slope: Slope, direction: Params) -> Params:
        """See EpisodeLoss."""
        tensors = self._ordered(params)
        along = [_contiguous(direction[name]) if name in direction else None for name in self.network.names]
        library = self._library(tensors[0].dtype)
        with parts(self._passes):
            threads = accelerator_threads()
            products = library.hessian_product(self._batch, tensors, along, slope.trace, threads)
        return dict(zip(self.network.names, products, strict=True))

    def _passes(self) -> dict[str, float]:
        return take_pass_seconds(self.library)

    def _ordered(self, params: Params) -> Sequence[Tensor]:
        return [_contiguous(params[name]) for name in self.network.names]

    def _library(self, dtype: torch.dtype) -> Library:
        config, reads = self.network.config, self.network.input
        shape = Shape(
            cell=cell_name(config),
            layers=config.layers,
            hidden=config.hidden_size,
            input_size=config.embedding_size if isinstance(reads, Tokens) else reads.size,
            vocabulary=reads.vocabulary if isinstance(reads, Tokens) else 0,
            outputs=self.network.outputs,
            readout=config.readout,
            loss="mse" if isinstance(self.network.output, Values) else "cross_entropy",
        )
        return Library(self.library, shape, dtype)

    @cached_property
    def _batch(self) -> Batch:
        packing = self.sequences.packing
        return Batch(
            sizes=packing.steps.sizes,
            rows=self.sequences.rows,
            example=packing.example,
            share=packing.share,
            last=packing.last,
            targets=self.targets,
        )


def _contiguous(tensor: Tensor) -> Tensor:
    """Each task's block, as the library reads it; one block expanded over the tasks stays one."""
    return tensor if tensor.shape[0] == 0 or tensor[0].is_contiguous() else tensor.contiguous()
