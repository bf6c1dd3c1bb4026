"""The update rule of the LSTM meta-learner: one small LSTM for all coordinates, each of which has its own state.

    h_t = LSTM([prep(g_t), prep(L_t)])                        first layer; g_t, L_t: gradient and loss at theta_{t-1}
    i_t = sigma(w_i . [h_t, theta_{t-1}, i_{t-1}] + b_i)      second layer, section 3.2 of the paper
    f_t = sigma(w_f . [h_t, theta_{t-1}, f_{t-1}] + b_f)
    theta_t = f_t o theta_{t-1} - i_t o g_t                   equation 2, theta is the cell state

    prep(x) = (log|x| / p, sign(x))  where |x| >= e^-p        appendix, p = 10
              (-1, e^p x)            elsewhere

It begins as gradient descent with little weight decay: f near 1, i as it is told.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.cells.base import uniform

_P = 10.0
_INPUTS = 4  # prep of gradient and loss
_FIRST_FORGET_BIAS = 6.0  # f = 0.998
_SMALL = 0.01  # the gates' first weights, of torch.nn's: so that hardly anything but the bias counts


class State(NamedTuple):
    """Of n coordinates.

    theta  (n,)
    gates  (n, 2) i and f
    h, c   (n, H) of the first layer
    """

    theta: Tensor
    gates: Tensor
    h: Tensor
    c: Tensor


def fresh(hidden: int, input_gate: float, generator: torch.Generator, dtype: torch.dtype) -> Params:
    """The rule's parameters; i begins as ``input_gate``."""
    rows = 4 * hidden
    bias = [math.log(input_gate / (1 - input_gate)), _FIRST_FORGET_BIAS]
    return {
        "lstm.w_ih": uniform((rows, _INPUTS), hidden, generator, dtype),
        "lstm.w_hh": uniform((rows, hidden), hidden, generator, dtype),
        "lstm.b_ih": uniform((rows,), hidden, generator, dtype),
        "lstm.b_hh": uniform((rows,), hidden, generator, dtype),
        "gates.w_h": _SMALL * uniform((2, hidden), hidden, generator, dtype),
        "gates.w_theta": _SMALL * uniform((2,), hidden, generator, dtype),
        "gates.w_gates": _SMALL * uniform((2,), hidden, generator, dtype),
        "gates.bias": torch.tensor(bias, dtype=dtype),
    }


def first_state(rule: Params, theta: Tensor) -> State:
    """Before the first step, at theta (n,); all else is 0."""
    h = theta.new_zeros(len(theta), rule["lstm.w_hh"].shape[1])
    return State(theta, theta.new_zeros(len(theta), 2), h, h)


def advance(rule: Params, state: State, seen: Tensor) -> State:
    """One step; seen (n, 2) is each coordinate's gradient and its task's loss."""
    gradient, loss = seen.unbind(dim=1)
    inputs = torch.cat([preprocessed(gradient), preprocessed(loss)], dim=1)
    weights = (rule[f"lstm.{name}"] for name in ("w_ih", "w_hh", "b_ih", "b_hh"))
    h, c = torch.lstm_cell(inputs, (state.h, state.c), *weights)
    theta = state.theta.unsqueeze(1) * rule["gates.w_theta"]
    gates = (h @ rule["gates.w_h"].T + theta + state.gates * rule["gates.w_gates"] + rule["gates.bias"]).sigmoid()
    return State(gates[:, 1] * state.theta - gates[:, 0] * gradient, gates, h, c)


def preprocessed(x: Tensor) -> Tensor:
    """Size and sign of numbers of any magnitude: (n,) -> (n, 2)."""
    least = math.exp(-_P)
    large = torch.stack([x.abs().clamp(min=least).log() / _P, x.sign()], dim=1)
    small = torch.stack([torch.full_like(x, -1.0), x / least], dim=1)
    return torch.where(x.abs().unsqueeze(1) >= least, large, small)
