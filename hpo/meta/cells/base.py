"""What a recurrent cell is: two pure functions on dicts of tensors with a leading task axis.

Shapes: ``tasks`` tasks, each with its own parameters; H hidden units; G gates (4 in an LSTM); ``features`` of a step.
    w_ih (tasks, G H, features)    w_hh (tasks, G H, H)    b_ih, b_hh (tasks, G H)
These are the names (without ``_l0``) and shapes of torch.nn's RNN, GRU and LSTM, both biases included: the weights of
one can be loaded into the other, and a gradient step on either gives the same function.

The initialization is torch.nn's but for one thing: the gate that keeps the old state starts out open (LSTM: Jozefowicz
et al. 2015; for how long it then remembers: Tallec & Ollivier 2018, arXiv:1804.11188). Started at a bias of 0 it is
half shut, and the output at the last letter hardly knows the first ones. Query loss on language identification after
200 meta-iterations, H = 32, standard errors 0.01 (chance is 1.609):
    bias                    0       1       2       3       4
    LSTM, first order       1.565   1.565   1.547   1.461   1.483
    LSTM, second order      1.534   1.480           1.534
    GRU, first order        1.648                   1.542

Sequences of different lengths are packed as in torch.nn.utils.rnn.PackedSequence: examples stand in descending order of
length, step t holds the ``sizes[t]`` examples that are still running, and the steps follow each other on one axis of
``packed = sum(sizes)`` rows. So no step is computed for padding, and everything that does not depend on the recurrence
is one product over all rows. Language identification (24.5 letters on average, 38 in the longest example): 1.3 times as
many meta-iterations a second as with padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from hpo.meta.cells.steps import Steps

Params = dict[str, Tensor]
State = tuple[Tensor, ...]
PARAMETERS = ("w_ih", "w_hh", "b_ih", "b_hh")
_OPEN = 3.0  # remembers for about 1 / (1 - sigma(3)) = 21 steps

Scan = Callable[[Params, Tensor, Sequence[int], State | None], tuple[Tensor, State]]


class Rows(Protocol):
    """A pass's quantities over packed rows."""

    @property
    def outputs(self) -> Tensor:
        """(tasks, packed, H): h, the derivative of a loss by h, or the derivative of h in a direction."""


class Adjoint(Rows, Protocol):
    """Derivatives of a loss, (tasks, packed, G H)."""

    @property
    def projected(self) -> Tensor:
        """By W_ih x + b_ih."""

    @property
    def recurrent(self) -> Tensor:
        """By W_hh h + b_hh."""


class Recurrence(Protocol):
    """The derivatives of a scan by hand: what is handed from pass to pass is a cell's own business.

    Autograd through a scan keeps and walks a graph of every operation of every step, twice for a second derivative.
    By hand a pass is one product and a few additions a step; all that does not depend on the step before is computed
    for all rows at once. Tensors that a pass is given to begin with are overwritten.

    merged  whether W_ih x + b_ih and W_hh h + b_hh only appear as their sum
    """

    @property
    def merged(self) -> bool:
        """See the class."""

    def forward(self, params: Params, projected: Tensor, steps: Steps, *, keep: bool) -> Any:
        """The scan over projected (tasks, packed, G H) = W_ih x + b_ih, and + b_hh where merged: Rows.

        keep: whether more will follow than one adjoint, after which nothing but h is needed.
        """

    def adjoint(self, params: Params, trace: Any, outputs: Tensor, steps: Steps, *, only_last: bool = False) -> Any:
        """Back-propagation from outputs (tasks, packed, H), dL/dh of what reads h: an Adjoint.

        only_last: steps are equal and only the last is read; what ``outputs`` holds of the others is void.
        """

    def tangent(self, params: Params, trace: Any, projected: Tensor, recurrent: Tensor | None, steps: Steps) -> Any:
        """The scan's derivative in a direction: Rows.

        projected and recurrent (tasks, packed, G H): the derivatives of W_ih x + b_ih and, with h as it is, of
        W_hh h + b_hh; where merged, their sum and None.
        """

    def curvature(self, params: Params, trace: Any, adjoint: Any, tangent: Any, outputs: Tensor, steps: Steps) -> Any:
        """The derivative of :meth:`adjoint` in the direction of ``tangent``: an Adjoint.

        outputs (tasks, packed, H): the derivative of what adjoint was given, with that of W_hh^T times the adjoint's
        ``recurrent`` added to the step before.
        """


@dataclass(frozen=True)
class Cell:
    """One recurrent layer.

    gates   G
    keep    which of the G gates keeps the old state; None where there is no such gate
    project(params, x) -> (tasks, rows, G H)            what the gates get from the inputs x (tasks, rows, features)
    scan(params, projected, sizes, state=None)          the recurrence over projected (tasks, packed, G H)
        -> outputs (tasks, packed, H), state            state: a tuple of (tasks, examples, H), None for zeros; the one
                                                        returned is that of the examples that reach the last step
    recurrence                                          the derivatives of scan by hand; None: autograd's are used
    kernel                                              called like torch.lstm: a fast form for one task; None: no such
    """

    gates: int
    keep: int | None
    project: Callable[[Params, Tensor], Tensor]
    scan: Scan
    recurrence: Recurrence | None = None
    kernel: Callable[..., tuple[Tensor, ...]] | None = None

    def init(self, input_size: int, hidden_size: int, generator: torch.Generator, dtype: torch.dtype) -> Params:
        """Parameters of one network, without a task axis: U(-1/sqrt(H), 1/sqrt(H)), and the keeping gate open."""
        rows = self.gates * hidden_size
        shapes = {"w_ih": (rows, input_size), "w_hh": (rows, hidden_size), "b_ih": (rows,), "b_hh": (rows,)}
        params = {name: uniform(shape, hidden_size, generator, dtype) for name, shape in shapes.items()}
        if self.keep is not None:
            params["b_ih"].view(self.gates, hidden_size)[self.keep] += _OPEN
        return params


def uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)) on the CPU."""
    bound = fan_in**-0.5
    return torch.empty(shape, dtype=dtype).uniform_(-bound, bound, generator=generator)


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer for every task: x (tasks, rows, in), weight (tasks, out, in), bias (tasks, out)."""
    return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)


def contiguous(weight: Tensor) -> Tensor:
    """weight (tasks, a, b) as products want it, still one for all tasks if it was."""
    return weight[0].contiguous().expand_as(weight) if shared(weight) else weight.contiguous()


def times(x: Tensor, weight: Tensor) -> Tensor:
    """x (tasks, rows, a) times weight (tasks, a, b); of a few rows, half the time where the tasks share the weight."""
    if not shared(weight):
        return torch.bmm(x, weight)
    return (x.flatten(0, 1) @ weight[0]).view(*x.shape[:2], -1)


def shared(weight: Tensor) -> bool:
    """Whether all tasks have the same: theta, before the first inner step."""
    return weight.stride(0) == 0


def zeros(count: int, params: Params, examples: int) -> State:
    """The state before the first step: ``count`` tensors (tasks, examples, H)."""
    w_hh = params["w_hh"]
    return (w_hh.new_zeros(w_hh.shape[0], examples, w_hh.shape[2]),) * count


def running(state: State, examples: int) -> State:
    """The state of the first ``examples`` examples: the others have ended."""
    return state if state[0].shape[1] == examples else tuple(part[:, :examples] for part in state)
