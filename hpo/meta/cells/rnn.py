"""The simple recurrent cell with tanh or relu.

    h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)          or relu(...)

Source: Elman 1990, "Finding structure in time", in the parametrization of torch.nn.RNN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hpo.meta.cells.base import Params, State, affine, running, zeros


def project(params: Params, x: Tensor) -> Tensor:
    """W_ih x + b_ih + b_hh; x (tasks, rows, features) -> (tasks, rows, H)."""
    return affine(x, params["w_ih"], params["b_ih"] + params["b_hh"])


def scan(
    activation: Callable[[Tensor], Tensor],
    params: Params,
    projected: Tensor,
    sizes: Sequence[int],
    state: State | None = None,
) -> tuple[Tensor, State]:
    """Outputs (tasks, packed, H) and state (h,); see Cell."""
    w_hh = params["w_hh"].mT  # (tasks, H, H)
    state = state or zeros(1, params, sizes[0])
    outputs = []
    for x in projected.split_with_sizes(list(sizes), dim=1):  # (tasks, n_t, H)
        (h,) = running(state, x.shape[1])
        h = activation(torch.baddbmm(x, h, w_hh))
        state = (h,)
        outputs.append(h)
    return torch.cat(outputs, dim=1), state
