"""First and second derivatives of the losses by the predictions; see Network.loss."""

from __future__ import annotations

from torch import Tensor


def squared_error_slope(predictions: Tensor, targets: Tensor) -> Tensor:
    """dL/dp of the mean squared error, (tasks, examples, values)."""
    return (predictions - targets) * (2 / _per_task(predictions))


def squared_error_curvature(predictions: Tensor, tangent: Tensor) -> Tensor:
    """The derivative of squared_error_slope where predictions change by ``tangent``."""
    return tangent * (2 / _per_task(predictions))


def cross_entropy_slope(predictions: Tensor, targets: Tensor) -> Tensor:
    """dL/dp = (softmax(p) - onehot(y)) / examples, (tasks, examples, ways)."""
    slope, target = predictions.softmax(dim=2), targets.unsqueeze(2)
    slope.scatter_(2, target, slope.gather(2, target) - 1)  # one_hot looks at the targets from the host
    return slope / predictions.shape[1]


def cross_entropy_curvature(predictions: Tensor, tangent: Tensor) -> Tensor:
    """The derivative of cross_entropy_slope: s (p^ - sum(s p^)) / examples with s = softmax(p)."""
    shares = predictions.softmax(dim=2)
    return shares * (tangent - (shares * tangent).sum(dim=2, keepdim=True)) / predictions.shape[1]


def _per_task(predictions: Tensor) -> int:
    return predictions[0].numel()
