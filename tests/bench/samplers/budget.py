"""Plays whose budget is training rather than trials, with a pruner that ends bad trials early.

language_id/iterations   recorded trainings (problems.py); the budget is counted in meta-iterations of a whole training
language_id/seconds      in seconds of the mean training
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import optuna

from tests.bench.samplers.clock import Run, designed, studied, timed
from tests.bench.samplers.contenders import STARTUP_TRIALS, contender
from tests.bench.samplers.play import Play
from tests.bench.samplers.tables import Recorded

FIRST_RUNG, FACTOR = 20, 3  # what a study config's pruner has by default, on these trainings
LONGEST = 2  # trials for each whole training of the budget

# What a run has used of it, and how much of that is one evaluation.
BUDGETS: dict[str, tuple[Callable[[Run], float], Callable[[Recorded], float]]] = {
    "language_id/iterations": (lambda run: run.meta_iterations, lambda table: float(table.rungs[-1])),
    "language_id/seconds": (lambda run: run.ended - run.began, lambda table: float(table.seconds[:, -1].mean())),
}


def halving() -> optuna.pruners.BasePruner:
    """The pruner of a study config."""
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST_RUNG, reduction_factor=FACTOR)


def play(name: str, on: str, seed: int, evaluations: int) -> Play:
    """``regret``: after each evaluation's worth of training; CPU seconds of the asks are not measured."""
    used, one = BUDGETS[on]
    table = timed(on.partition("/")[0], seed)
    assert isinstance(table.problem, Recorded)
    with contender(name) as make:
        found = studied(
            table,
            lambda worker: make(table.problem.space, seed),
            design=designed(table, seed, STARTUP_TRIALS),
            trials=LONGEST * evaluations,
            study=optuna.create_study(pruner=halving()),
        )
    spent = list(itertools.accumulate(used(run) / one(table.problem) for run in found.runs))
    regret = tuple(found.regret_of(_within(spent, number)) for number in range(1, evaluations + 1))
    return Play(name, on, seed, regret, (math.nan,))


def _within(spent: Sequence[float], budget: float) -> int:
    return sum(each <= budget for each in spent)
