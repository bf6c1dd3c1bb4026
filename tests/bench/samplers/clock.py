"""Studies on a simulated clock: what several workers, a pruner or costs change.

Time is what recorded trainings took; a suggestion takes none. Each worker has a sampler of its own, as in life, and all
see one history, in which what the others train is pending.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import optuna
import torch
from optuna.trial import TrialState

from hpo.records import OUTCOME_ATTRIBUTE, SECONDS_ATTRIBUTE, STANDARD_ERROR_ATTRIBUTE
from hpo.sampler import distributions
from hpo.space import Params
from tests.bench.samplers.play import asked
from tests.bench.samplers.problems import Problem, problem
from tests.bench.samplers.tables import Recorded

Sampler = optuna.samplers.BaseSampler
MakeSampler = Callable[[int], Sampler]  # of the worker with this number


@dataclass(frozen=True)
class Training:
    """After ``rungs`` meta-iterations and ``seconds`` from its start, ``values``; one that is not finite ends it.

    ``sem``: standard error that the trial states of its value; None: nothing.
    """

    rungs: Sequence[int]
    seconds: Sequence[float]
    values: Sequence[float]
    sem: float | None = None


class Timed(Protocol):
    """A problem whose trials take time."""

    @property
    def problem(self) -> Problem:
        """What is searched."""

    def training(self, params: Params, number: int) -> Training:
        """Of the trial of this number."""


@dataclass(frozen=True)
class Replayed:
    """Recorded trainings as they were."""

    problem: Recorded

    def training(self, params: Params, number: int) -> Training:
        """See Timed."""
        row = self.problem.row(params)
        found = (self.problem.rungs, self.problem.seconds[row], self.problem.curves[row])
        return Training(*(each.tolist() for each in found))


@dataclass(frozen=True)
class Lasting:
    """Any problem; its trials last as long as recorded trainings, drawn at random."""

    problem: Problem
    seconds: Sequence[float]
    seed: int

    def training(self, params: Params, number: int) -> Training:
        """See Timed."""
        rng = np.random.default_rng([self.seed, number])
        value = self.problem.told(params, rng)
        return Training([1], [float(rng.choice(self.seconds))], [math.inf if value is None else value])


def timed(name: str, seed: int) -> Timed:
    """The problem of this name."""
    found, table = problem(name), problem("language_id")
    assert isinstance(table, Recorded)
    return Replayed(found) if isinstance(found, Recorded) else Lasting(found, table.seconds[:, -1].tolist(), seed)


@dataclass
class Run:
    """One trial and when it began and ended; ``reported``: at how many rungs."""

    params: Params
    training: Training
    began: float
    ended: float = math.nan
    reported: int = 0
    state: TrialState = TrialState.RUNNING

    @property
    def meta_iterations(self) -> int:
        """That it was trained for."""
        return self.training.rungs[max(self.reported, 1) - 1]

    @property
    def next_report(self) -> float:
        """When it comes to its next rung."""
        return self.began + self.training.seconds[self.reported]


@dataclass(frozen=True)
class Studied:
    """The trials of a study in the order in which they ended."""

    problem: Problem
    runs: Sequence[Run]

    @property
    def meta_iterations(self) -> int:
        """Trained in all."""
        return sum(run.meta_iterations for run in self.runs)

    @property
    def seconds(self) -> float:
        """Trained in all, whoever did it."""
        return sum(run.ended - run.began for run in self.runs)

    @property
    def regret(self) -> float:
        """Of the best config that was trained to its end."""
        return self.regret_of(len(self.runs))

    def regret_at(self, seconds: float) -> float:
        """Of what has ended by then."""
        return self.regret_of(sum(run.ended <= seconds for run in self.runs))

    def time_to(self, regret: float) -> float:
        """When the regret was first at most this; infinite if never."""
        times = (run.ended for n, run in enumerate(self.runs, 1) if self.regret_of(n) <= regret)
        return next(times, math.inf)

    def regret_of(self, count: int) -> float:
        """Of the first runs that ended; infinite where none was trained to its end."""
        runs = self.runs[:count]
        worths = (self.problem.worth(run.params) for run in runs if run.state is TrialState.COMPLETE)
        return max(min(worths, default=math.inf) - self.problem.optimum, self.problem.floor)


class _Settling(optuna.samplers.BaseSampler):
    """Puts what can be tried in the place of what ``sampler`` asks for."""

    def __init__(self, sampler: Sampler, problem: Problem, tried: Sequence[Params]) -> None:
        self._sampler, self._problem, self._tried = sampler, problem, tried

    def infer_relative_search_space(self, study: optuna.Study, trial: Any) -> dict[str, Any]:
        """All of it, whatever the sampler proposes together."""
        self._together = self._sampler.infer_relative_search_space(study, trial)
        return distributions(self._problem.space)

    def sample_relative(self, study: optuna.Study, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
        """See BaseSampler."""
        if "fixed_params" in trial.system_attrs:
            return {}
        wanted = self._sampler.sample_relative(study, trial, self._together)
        others = {name: each for name, each in search_space.items() if name not in wanted}
        wanted |= {name: self.sample_independent(study, trial, name, each) for name, each in others.items()}
        return self._problem.settle(wanted, self._tried)

    def sample_independent(self, study: optuna.Study, trial: Any, name: str, distribution: Any) -> Any:
        """See BaseSampler."""
        return self._sampler.sample_independent(study, trial, name, distribution)


def studied(
    on: Timed,
    make: MakeSampler,
    *,
    design: Sequence[Mapping[str, Any]],
    trials: int,
    workers: int = 1,
    study: optuna.Study | None = None,
) -> Studied:
    """``design``: the params of the first trials; ``study``: a new one; default: without a pruner."""
    quiet()
    tried: list[Params] = []
    samplers = [_Settling(make(worker), on.problem, tried) for worker in range(workers)]
    study = study or optuna.create_study(pruner=optuna.pruners.NopPruner())
    for params in design:
        study.enqueue_trial(dict(params))
    ended: list[Run] = []
    busy: list[tuple[float, int, optuna.Trial, Run]] = []  # when it reports next, its worker

    def begin(worker: int, now: float) -> None:
        study.sampler = samplers[worker]
        trial = study.ask()
        params = asked(trial, on.problem.space)
        tried.append(params)
        run = Run(params, on.training(params, trial.number), now)
        heapq.heappush(busy, (run.next_report, worker, trial, run))

    for worker in range(min(workers, trials)):
        begin(worker, 0.0)
    while busy:
        now, worker, trial, run = heapq.heappop(busy)
        if _report(study, trial, run):
            heapq.heappush(busy, (run.next_report, worker, trial, run))
            continue
        run.ended = now
        ended.append(run)
        if len(tried) < trials:
            begin(worker, now)
    return Studied(on.problem, ended)


def _report(study: optuna.Study, trial: optuna.Trial, run: Run) -> bool:
    """At the next rung; whether it goes on from there."""
    value, seconds = run.training.values[run.reported], run.training.seconds[run.reported]
    run.reported += 1
    trial.set_user_attr(SECONDS_ATTRIBUTE, seconds / run.meta_iterations)
    if not math.isfinite(value):
        run.state = TrialState.FAIL
        trial.set_user_attr(OUTCOME_ATTRIBUTE, "diverged")
        study.tell(trial, state=run.state)
        return False
    trial.report(value, run.meta_iterations)
    if run.reported == len(run.training.values):
        run.state = TrialState.COMPLETE
        if run.training.sem is not None:
            trial.set_user_attr(STANDARD_ERROR_ATTRIBUTE, run.training.sem)
        study.tell(trial, value)
    elif trial.should_prune():
        run.state = TrialState.PRUNED
        study.tell(trial, state=run.state)
    return run.state is TrialState.RUNNING


def designed(on: Timed, seed: int, count: int) -> list[Params]:
    """The same first points for all that are compared."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        found.append(on.problem.settle(on.problem.space.decode(rng.random(len(on.problem.space))), found))
    return found


def quiet() -> None:
    """One thread, and no word of every trial."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
