"""What is measured: one meta-gradient of 28 features x 28 steps, 5-way 1-shot, and its floor in multiplications.

Nothing here imports torch: the process that asks stays small.
"""

from __future__ import annotations

from dataclasses import dataclass

FEATURES = 28
TIME = 28
WAYS = 5
SHOTS = 1
QUERIES = 5  # of each class
INNER_LR = 0.1
SEED = 0

CELLS = ("lstm", "gru")
ORDERS = ("first", "second")
GATES = {"lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    cell: str
    order: str
    inner_steps: int
    hidden_size: int
    tasks: int = 16
    device: str = "cpu"

    def __str__(self) -> str:
        return f"{self.cell}, {self.order} order, K={self.inner_steps}, H={self.hidden_size}, {self.tasks} tasks"


def flops(setting: Setting) -> int:
    """Operations of the matrix products that a meta-gradient cannot do without (2 for one multiply-add).

    Support gradients and the query gradient; in second order one Hessian-vector product for every inner step, with
    what the support gradient computed kept. Nothing is counted that multiplies the zero initial state.
    """
    support, query = WAYS * SHOTS, WAYS * QUERIES
    examples = setting.inner_steps * support + query
    total = examples * _gradient(setting)
    if setting.order == "second":
        total += setting.inner_steps * support * _hessian_vector(setting)
    return setting.tasks * total


def _gradient(setting: Setting) -> int:
    """Of one example. Products with inputs: forward, dW_ih. With the state and the head: forward, dW, d state."""
    inputs, states, head = _products(setting)
    return 2 * inputs + 3 * states + 3 * head


def _hessian_vector(setting: Setting) -> int:
    """Of one example, v the vector and a dot the derivative along it.

    inputs   v_ih x; the dot of dW_ih = delta x^T (x has none)
    states   v_hh h + W_hh h.; v_hh^T delta + W_hh^T delta.; delta. h^T + delta h.^T; the head in the same way
    """
    inputs, states, head = _products(setting)
    return 2 * inputs + 6 * states + 6 * head


def _products(setting: Setting) -> tuple[int, int, int]:
    """Operations of one product of an example's sequence with W_ih, W_hh and the head."""
    hidden = setting.hidden_size
    rows = GATES[setting.cell] * hidden
    return 2 * TIME * FEATURES * rows, 2 * (TIME - 1) * hidden * rows, 2 * hidden * WAYS
