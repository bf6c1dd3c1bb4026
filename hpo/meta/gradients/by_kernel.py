"""Gradients of wide LSTMs by torch's own kernel, one task after another: where no Hessian-vector product is wanted.

On a CPU, torch.nn's LSTM is one oneDNN call a pass. It hands out no gates, so no product can follow, and it takes one
task at a time; but the weights of one task stay in the cache from step to step, while the products of all tasks read
theirs anew at every step. What is left around the kernel counts: by hand, the head's derivatives take 5 % longer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, cached_property

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.cells.base import PARAMETERS
from hpo.meta.gradients.base import Slope
from hpo.meta.network import Network
from hpo.meta.profile import component
from hpo.meta.tasks.base import Episode, Features, Values

_LEAST_UNITS = 128  # the least H for which it is no slower than our scans (96: 69 ms beside 56)


@dataclass(frozen=True)
class KernelTask:
    """Implements EpisodeLoss but for curvature; of one task, and no tensor has a task axis.

    inputs (time, examples, features), targets (examples,) or (examples, values)
    start  (layers, examples, H) zeros: h and c before the first step
    """

    network: Network
    inputs: Tensor
    targets: Tensor
    start: Tensor

    @property
    def tasks(self) -> int:
        """One."""
        return 1

    @torch.no_grad()
    def predict(self, params: Params) -> Tensor:
        """See EpisodeLoss."""
        return self._predict(params)

    @torch.no_grad()
    def slope(self, params: Params, names: Collection[str], *, keep: bool) -> Slope:
        """See EpisodeLoss."""
        assert not keep  # the rule in gradients/__init__.py
        own = {name: tensor.detach() for name, tensor in params.items()}
        leaves = [own[name].requires_grad_() for name in names]
        with component("forward"), torch.enable_grad():
            predictions = self._predict(own)
            loss_of = F.mse_loss if isinstance(self.network.output, Values) else F.cross_entropy
            loss = loss_of(predictions, self.targets)
        with component("adjoint"):
            gradient = dict(zip(names, torch.autograd.grad(loss, leaves), strict=True))
        return Slope(predictions.detach(), gradient, None)

    def curvature(self, params: Params, slope: Slope, direction: Params) -> Params:
        """Raises NotImplementedError."""
        raise NotImplementedError("torch's kernel keeps nothing that a Hessian-vector product could be made of")

    def _predict(self, params: Params) -> Tensor:
        """(examples, outputs)."""
        kernel, config = self.network.cell.kernel, self.network.config
        assert kernel is not None  # kernel_pays
        weights = [params[name] for name in _weights(config.layers)]
        biased, dropout, training, bidirectional, batch_first = True, 0.0, True, False, False
        options = (biased, config.layers, dropout, training, bidirectional, batch_first)
        outputs = kernel(self.inputs, (self.start, self.start), weights, *options)[0]  # (time, examples, H)
        read = outputs[-1] if config.readout == "last" else outputs.mean(dim=0)
        return F.linear(read, params["head.weight"], params["head.bias"])


@dataclass(frozen=True)
class KernelLoss:
    """Implements EpisodeLoss but for curvature, where :func:`kernel_pays`."""

    network: Network
    episode: Episode

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return self.episode.tasks

    def predict(self, params: Params) -> Tensor:
        """See EpisodeLoss."""
        return torch.stack([task.predict(own) for task, own in zip(self._tasks, _each(params), strict=True)])

    def slope(self, params: Params, names: Collection[str], *, keep: bool) -> Slope:
        """See EpisodeLoss."""
        slopes = [task.slope(own, names, keep=keep) for task, own in zip(self._tasks, _each(params), strict=True)]
        gradient = {name: torch.stack([slope.gradient[name] for slope in slopes]) for name in names}
        return Slope(torch.stack([slope.predictions for slope in slopes]), gradient, None)

    def curvature(self, params: Params, slope: Slope, direction: Params) -> Params:
        """Raises NotImplementedError."""
        return self._tasks[0].curvature(params, slope, direction)

    @cached_property
    def _tasks(self) -> list[KernelTask]:
        return kernel_tasks(self.network, self.episode)


def kernel_tasks(network: Network, episode: Episode) -> list[KernelTask]:
    """Each task by itself: what a learner that needs no more than one at a time is faster with."""
    inputs = episode.inputs.transpose(1, 2).contiguous()
    start = inputs.new_zeros(network.config.layers, inputs.shape[2], network.config.hidden_size)
    return [KernelTask(network, *task, start) for task in zip(inputs, episode.targets, strict=True)]


def kernel_pays(network: Network, episode: Episode) -> bool:
    """Whether there is a kernel that takes these sequences, and is faster than our scans."""
    inputs, onednn = episode.inputs, torch.backends.mkldnn
    there = bool(onednn.is_available() and onednn.enabled)  # type: ignore[no-untyped-call]
    fits = there and network.cell.kernel is not None and isinstance(network.input, Features)
    runs = fits and inputs.dtype == torch.float32 and inputs.device.type == "cpu"
    wide = network.config.hidden_size >= _LEAST_UNITS
    return runs and wide and bool((episode.lengths == inputs.shape[2]).all())


@cache
def _weights(layers: int) -> list[str]:
    """The names of what the kernel reads, in its order."""
    return [f"cell{layer}.{name}" for layer in range(layers) for name in PARAMETERS]


def _each(params: Params) -> list[Params]:
    return [dict(zip(params, own, strict=True)) for own in zip(*params.values(), strict=True)]
