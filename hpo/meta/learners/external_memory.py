"""A memory with least-recently-used access (Santoro et al. 2016, arXiv:1605.06065, section 3), one step of it.

With keys k^h, h = 1..R, from a controller, M the memory and w(i) the weight of slot i:

    w^w_t = sigma(alpha) w^r_{t-1} + (1 - sigma(alpha)) w^lu_{t-1}                               equation 7
    M_t(i) = M_{t-1}(i) + w^w_t(i) k_t              the R least used set to 0 first              equation 8
    w^r_t(i) = softmax_i(beta K(k_t, M_t(i))),  K the cosine                                     equations 2 and 3
    r_t = sum_i w^r_t(i) M_t(i)                                                                  equation 4
    w^u_t = gamma w^u_{t-1} + w^r_t + w^w_t                                                      equation 5
    w^lu_t(i) = 1 if w^u_t(i) is among the R smallest, else 0                                    equation 6

Every head has a key and weights of its own; in equations 5 and 8 their contributions are added. Of the R least used
slots each head writes into one. beta, the strength of a key (Graves, Wayne & Danihelka 2014, arXiv:1410.5401, equation
5), is 1 in the paper: then no slot of 128 can have more than 6 % of the attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor
from torch.linalg import vector_norm

_NOTHING = 1e-12


class Memory(NamedTuple):
    """What there is after a step.

    slots  (sequences, N, width) M
    read   (sequences, R, N) w^r
    usage  (sequences, N) w^u
    """

    slots: Tensor
    read: Tensor
    usage: Tensor


@dataclass(frozen=True)
class LeastRecentlyUsed:
    """The access to memories of one size; decay is gamma."""

    slots: int
    width: int
    heads: int
    decay: float

    def empty(self, sequences: int, like: Tensor) -> Memory:
        """Before the first step nothing is written, nothing has been read."""
        return Memory(
            like.new_zeros(sequences, self.slots, self.width),
            like.new_zeros(sequences, self.heads, self.slots),
            like.new_zeros(sequences, self.slots),
        )

    def step(self, memory: Memory, keys: Tensor, gate: Tensor, strength: Tensor) -> tuple[Tensor, Memory]:
        """keys (sequences, R, width), gate (R,) sigma(alpha), strength (R,) beta -> r (sequences, R, width), memory."""
        gate, strength = gate.unsqueeze(1), strength.unsqueeze(1)
        least = self._least_used(memory.usage)  # (sequences, R, N)
        write = gate * memory.read + (1.0 - gate) * least
        kept = memory.slots * (1.0 - least.sum(dim=1)).unsqueeze(2)
        slots = torch.baddbmm(kept, write.mT, keys)
        read = (strength * _cosines(keys, slots)).softmax(dim=2)
        usage = self.decay * memory.usage + (read + write).detach().sum(dim=1)  # what is least used has no derivative
        return read @ slots, Memory(slots, read, usage)

    def _least_used(self, usage: Tensor) -> Tensor:
        """w^lu, split among the heads; of equal ones the first."""
        places = usage.argsort(dim=1, stable=True)[:, : self.heads]  # (sequences, R)
        return F.one_hot(places, self.slots).to(usage.dtype)


def _cosines(keys: Tensor, slots: Tensor) -> Tensor:
    """Of each head's key with each slot, (sequences, R, N); of an empty slot 0."""
    lengths: Tensor = vector_norm(keys, dim=2).unsqueeze(2) * vector_norm(slots, dim=2).unsqueeze(1)
    return keys @ slots.mT / lengths.clamp(min=_NOTHING)
