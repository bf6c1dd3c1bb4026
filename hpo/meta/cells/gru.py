"""The gated recurrent unit.

    r_t = sigma(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)               reset gate
    z_t = sigma(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)               update gate
    n_t = tanh(W_in x_t + b_in + r_t * (W_hn h_{t-1} + b_hn))        candidate
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}

Rows of the weights are in the order r, z, n. Source: Cho et al. 2014, arXiv:1406.1078, in the parametrization of
torch.nn.GRU (the reset gate acts after the product with W_hn, so that all of W_hh h is one product).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hpo.meta.cells.base import Params, State, affine, running, zeros


def project(params: Params, x: Tensor) -> Tensor:
    """W_ih x + b_ih; x (tasks, rows, features) -> (tasks, rows, 3 H)."""
    return affine(x, params["w_ih"], params["b_ih"])


def scan(params: Params, projected: Tensor, sizes: Sequence[int], state: State | None = None) -> tuple[Tensor, State]:
    """Outputs (tasks, packed, H) and state (h,); see Cell."""
    hidden = params["w_hh"].shape[2]
    state = state or zeros(1, params, sizes[0])
    outputs = []
    for x in projected.split_with_sizes(list(sizes), dim=1):  # (tasks, n_t, 3 H)
        (h,) = running(state, x.shape[1])
        x_rz, x_n = x.split_with_sizes((2 * hidden, hidden), dim=2)
        h_rz, h_n = affine(h, params["w_hh"], params["b_hh"]).split_with_sizes((2 * hidden, hidden), dim=2)
        r, z = (x_rz + h_rz).sigmoid().chunk(2, dim=2)
        n = torch.addcmul(x_n, r, h_n).tanh()
        h = torch.lerp(n, h, z)
        state = (h,)
        outputs.append(h)
    return torch.cat(outputs, dim=1), state
