"""One study of one contender on one problem."""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import dataclass

import numpy as np
import optuna
import torch
from optuna.trial import TrialState

from hpo.records import OUTCOME_ATTRIBUTE
from hpo.sampler import distributions
from hpo.space import Params, Space
from tests.bench.samplers.contenders import STARTUP_TRIALS, contender
from tests.bench.samplers.problems import problem


@dataclass(frozen=True)
class Play:
    """regret: after each evaluation, of the best config so far, by its true worth; cpu: seconds of each ask."""

    contender: str
    problem: str
    seed: int
    regret: tuple[float, ...]
    cpu: tuple[float, ...]


def play(name: str, on: str, seed: int, evaluations: int) -> Play:
    """All contenders get the same first points and, where two try the same points, are told the same."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    task = problem(on)
    with contender(name) as make:
        study = optuna.create_study(sampler=make(task.space, seed))
        design = _design(task.space, on, seed)
        regret, cpu, best, tried = [], [], math.inf, []
        for number in range(evaluations):
            if number < len(design):
                study.enqueue_trial(design[number])
            began = time.process_time()
            trial = study.ask()
            wanted = asked(trial, task.space)
            cpu.append(time.process_time() - began)
            params = task.settle(wanted, tried)
            tried.append(params)
            value = task.told(params, np.random.default_rng([seed, number]))
            _tell(study, trial, value) if params == wanted else _tell_instead(study, trial, params, value)
            best = min(best, task.worth(params))
            regret.append(max(best - task.optimum, task.floor))
    return Play(name, on, seed, tuple(regret), tuple(cpu[len(design) :]))


def _design(space: Space, on: str, seed: int) -> list[Params]:
    rng = np.random.default_rng([zlib.crc32(on.encode()), seed])
    return [space.decode(rng.random(len(space))) for _ in range(STARTUP_TRIALS)]


def asked(trial: optuna.Trial, space: Space) -> Params:
    """Of one contender: every dimension, none is conditional."""
    return {name: trial._suggest(name, each) for name, each in distributions(space).items()}


def _tell(study: optuna.Study, trial: optuna.Trial, value: float | None) -> None:
    """A failure is told as our workers tell it."""
    if value is not None:
        study.tell(trial, value)
        return
    trial.set_user_attr(OUTCOME_ATTRIBUTE, "diverged")
    study.tell(trial, state=TrialState.FAIL)


def _tell_instead(study: optuna.Study, asked: optuna.Trial, params: Params, value: float | None) -> None:
    """Of another point than was asked for, whose trial says nothing."""
    study.tell(asked, state=TrialState.FAIL)
    failed = value is None
    study.add_trial(
        optuna.trial.create_trial(
            params=params,
            distributions=asked.distributions,
            value=value,
            state=TrialState.FAIL if failed else TrialState.COMPLETE,
            user_attrs={OUTCOME_ATTRIBUTE: "diverged"} if failed else {},
        )
    )
