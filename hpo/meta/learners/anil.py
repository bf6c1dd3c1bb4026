"""ANIL, almost no inner loop (Raghu et al. 2020, arXiv:1909.09157, section 4): MAML where only the head is adapted.

Below the head a step changes nothing, yet each computes it anew. To compute it once and descend on what the head reads
takes torch's own recurrent kernels, and with them a meta-iteration of language identification takes 2 to 11 times as
long as by the compiled library's passes; that of short series of one length 0.6 to 6 times.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hpo.config.learner import AnilConfig
from hpo.meta.learners.unrolled import Unrolled


@dataclass(frozen=True)
class Anil(Unrolled):
    """See the module."""

    config: AnilConfig

    @cached_property
    def adapted(self) -> list[str]:
        """See Unrolled."""
        return [name for name in self.network.names if name.startswith("head.")]
