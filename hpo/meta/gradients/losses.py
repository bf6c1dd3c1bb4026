"""First and second derivatives of the losses by the predictions; see Network.loss.

n predicted numbers (values) or examples (classes) has a task:
    squared error   dL/dp = 2 (p - y) / n
    cross-entropy   dL/dp = (softmax(p) - onehot(y)) / n
"""

from __future__ import annotations

import torch
from torch import Tensor

from hpo.meta.tasks.base import Classes, Values


def aims(output: Classes | Values, targets: Tensor) -> Tensor:
    """y, or onehot(y) as int8, (..., examples, outputs): what stays the same from step to step."""
    if isinstance(output, Values):
        return targets
    one_hot = targets.new_zeros((*targets.shape, output.ways), dtype=torch.int8)
    return one_hot.scatter_(-1, targets.unsqueeze(-1), 1)  # F.one_hot looks at the targets from the host


def slope(output: Classes | Values, predictions: Tensor, aims: Tensor) -> Tensor:
    """dL/dp (..., examples, outputs)."""
    if isinstance(output, Values):
        return (predictions - aims) * _scale(output, predictions)
    return predictions.softmax(dim=-1).sub_(aims).mul_(_scale(output, predictions))


def curvature(output: Classes | Values, predictions: Tensor, tangent: Tensor) -> Tensor:
    """The derivative of :func:`slope` where predictions change by ``tangent``.

    Of cross-entropy it is s (tangent - sum(s tangent)) / n with s = softmax(p).
    """
    if isinstance(output, Values):
        return tangent * _scale(output, predictions)
    shares = predictions.softmax(dim=-1)
    return shares * (tangent - (shares * tangent).sum(dim=-1, keepdim=True)) * _scale(output, predictions)


def _scale(output: Classes | Values, predictions: Tensor) -> float:
    examples, outputs = predictions.shape[-2:]
    return 2 / (examples * outputs) if isinstance(output, Values) else 1 / examples
