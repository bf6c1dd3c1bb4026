"""Long short-term memory.

    a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh                      rows in the order i, f, g, o
    i_t, f_t, o_t = sigma(a_t[i]), sigma(a_t[f]), sigma(a_t[o])      input, forget and output gate
    g_t = tanh(a_t[g])                                               candidate
    c_t = f_t * c_{t-1} + i_t * g_t                                  cell state
    h_t = o_t * tanh(c_t)                                            output

Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, in the parametrization of torch.nn.LSTM.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hpo.meta.cells.base import Params, State, affine, running, zeros


def project(params: Params, x: Tensor) -> Tensor:
    """W_ih x + b_ih + b_hh; x (tasks, rows, features) -> (tasks, rows, 4 H)."""
    return affine(x, params["w_ih"], params["b_ih"] + params["b_hh"])


def scan(params: Params, projected: Tensor, sizes: Sequence[int], state: State | None = None) -> tuple[Tensor, State]:
    """Outputs (tasks, packed, H) and state (h, c); see Cell."""
    w_hh = params["w_hh"].mT  # (tasks, H, 4 H)
    state = state or zeros(2, params, sizes[0])
    outputs = []
    for x in projected.split_with_sizes(list(sizes), dim=1):  # (tasks, n_t, 4 H)
        h, c = running(state, x.shape[1])
        i, f, g, o = torch.baddbmm(x, h, w_hh).chunk(4, dim=2)
        c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
        h = o.sigmoid() * c.tanh()
        state = (h, c)
        outputs.append(h)
    return torch.cat(outputs, dim=1), state
