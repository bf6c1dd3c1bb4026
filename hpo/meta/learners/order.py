"""The order in which a support set is read, where reading one example after another makes it matter.

Families list their examples class by class. Read like that, a label is known from its place alone, and nothing would be
learned from having to predict it; an order drawn at random would make a prediction another one each time it is asked
for. So the order is that of a hash of the examples: as good as random, the same for the same examples however they are
listed, and no other in a larger batch or with more padding. The hash is multiply-shift for vectors (Dietzfelbinger
1996): sum_i a_i x_i modulo 2^64 with random odd a_i, whose high bits are well mixed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hpo.meta.tasks.base import Episode


def in_own_order(episode: Episode) -> Episode:
    """The same examples; of equal inputs, the hash of their targets decides."""
    by_target = _hash(episode.targets.flatten(2) if episode.targets.ndim > 2 else episode.targets.unsqueeze(2))
    order = by_target.argsort(dim=1, stable=True)  # (tasks, examples)
    by_input = _hash(_without_padding(episode)).gather(1, order)
    order = order.gather(1, by_input.argsort(dim=1, stable=True))
    tasks = torch.arange(episode.tasks, device=order.device).unsqueeze(1)
    return Episode(*(part[tasks, order] for part in (episode.inputs, episode.targets, episode.lengths)))


def _without_padding(episode: Episode) -> Tensor:
    """Inputs with zeros there, (tasks, examples, numbers)."""
    valid = torch.arange(episode.inputs.shape[2], device=episode.lengths.device) < episode.lengths.unsqueeze(2)
    if episode.inputs.ndim > 3:
        valid = valid.unsqueeze(3)
    return episode.inputs.where(valid, 0).flatten(2)


def _hash(numbers: Tensor) -> Tensor:
    """(tasks, examples, n) -> (tasks, examples) int64; zeros at the end change nothing."""
    words = numbers.float().view(torch.int32).long() if numbers.is_floating_point() else numbers
    factors = np.random.default_rng(0).integers(2**63, size=numbers.shape[2]) | 1  # of more, the first are the same
    return (words * torch.from_numpy(factors).to(words.device)).sum(dim=2)
