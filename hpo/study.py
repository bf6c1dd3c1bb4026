"""A study's life: trials leased and recorded, done.

Joins config, sampler and results, as only ``launch`` does beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Self

import optuna
from optuna.trial import FrozenTrial

from hpo.competitors import Competitors
from hpo.config import InvalidConfig, StudyConfig, TrialConfig
from hpo.constraints import compliance
from hpo.earlier_trials import Source, sources
from hpo.errors import LeaseLost
from hpo.records import Outcome, Report, TrialOutcome, TrialSpec
from hpo.results import queries, store
from hpo.results.engine import Database
from hpo.sampler import distributions, make_sampler, proposed
from hpo.space import Params, Space
from hpo.stages import Stages
from hpo.tradeoffs import logarithms

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Lease:
    """One trial that this worker alone may train and write; ``fresh``: nobody has trained it before."""

    trial_id: int
    number: int
    token: int
    attempts: int
    config: TrialConfig
    fresh: bool = False
    confirms: int | None = None  # number of the trial that it repeats with another seed


class Study:
    """One study as a worker sees it; cheap to make, the sampler is made when the first trial is asked for."""

    def __init__(self, database: Database, study_id: int, config: StudyConfig, worker_seed: int = 0) -> None:
        self.database = database
        self.study_id = study_id
        self.config = config
        self.space = Space.from_search(config.search, config.fixed_values())
        self._worker_seed = worker_seed
        self._config_hash = config.hash
        self._stages = Stages(database, study_id, config.name, self.space)
        self._warm_start: tuple[str, ...] = ()

    @classmethod
    def of(cls, database: Database, row: queries.StudyRow, worker_seed: int = 0) -> Self:
        """A study that is in the database; workers differ in their seeds."""
        study = cls(database, row.study_id, StudyConfig.from_dict(row.config), worker_seed)
        study._config_hash, study._warm_start = row.config_hash, row.warm_start
        return study

    @property
    def name(self) -> str:
        """Unique in its database."""
        return self.config.name

    @cached_property
    def sampler(self) -> optuna.samplers.BaseSampler:
        """Made late: the Gaussian process costs a second of imports."""
        observations = [source.observations for source in self.sources]
        return make_sampler(self.config.sampler, self.space, self._worker_seed, self.config.stop.trials, observations)

    @cached_property
    def sources(self) -> list[Source]:
        """Trials of the studies that it is warm-started from, as they stand at the first look."""
        return sources(self.database, self._warm_start, self.space)

    @cached_property
    def optuna_study(self) -> optuna.Study:
        """Optuna's view of the same study."""
        return optuna.load_study(study_name=self.name, storage=self.database.optuna_storage, sampler=self.sampler)

    @cached_property
    def _competitors(self) -> Competitors:
        return Competitors(self.name, self.database.optuna_storage)

    @cached_property
    def _pruner(self) -> optuna.pruners.BasePruner:
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=self.config.pruner.min_iterations or self.config.training.eval_every,
            reduction_factor=self.config.pruner.reduction_factor,
        )

    def lease_trial(
        self, worker_id: str, host: str, device: str, *, give_up: Callable[[], bool] = lambda: False
    ) -> Lease | None:
        """The next trial for this worker: one that was let go or abandoned, else a new one; None: nothing to do now."""
        leases = self.lease_trials(1, worker_id, host, device, give_up=give_up)
        return leases[0] if leases else None

    def lease_trials(
        self, most: int, worker_id: str, host: str, device: str, *, give_up: Callable[[], bool] = lambda: False
    ) -> list[Lease]:
        """Up to ``most`` trials for this worker: those that were let go or abandoned, then new ones; none: nothing now.

        Workers ask one after another, so each sees what the others run: no suggestion comes twice and the number of
        trials is exact. None too where ``give_up()`` while waiting, and where the study has another config by now.
        """
        with (
            self.database.guard(),
            store.asking(self.database, self.study_id, worker_id, give_up=give_up) as acquired,
        ):
            if not acquired or queries.study(self.database, self.name).config_hash != self._config_hash:
                return []
            leases = self._next_leases(most, worker_id, host, device)
            if not leases and self._stages.is_confirmation_due():
                self._fit()
                self._stages.plan_confirmation()
                leases = self._next_leases(most, worker_id, host, device)
            if not leases:
                self.end_if_done()
        return leases

    def _next_leases(self, most: int, *place: str) -> list[Lease]:
        abandoned = store.abandoned(self.database, self.study_id)
        # The last attempt at a trial is made alone: if it is what ends the runner, no other one is lost with it.
        last = [one for one in abandoned if most > 1 and self._is_last_attempt(one)]
        if leases := list(islice(self._continued(last, *place), 1)):
            return leases
        leases = list(islice(self._continued((one for one in abandoned if one not in last), *place), most))
        return leases + list(islice(self._begun(most - len(leases), *place), most - len(leases)))

    def _is_last_attempt(self, abandoned: store.Abandoned) -> bool:
        return abandoned.attempts >= max(1, self.config.execution.max_attempts - 1)

    def _continued(self, abandoned: Iterable[store.Abandoned], *place: str) -> Iterator[Lease]:
        for one in abandoned:
            if (lease := self._continue(one, *place)) is not None:
                yield lease

    def _begun(self, most: int, worker_id: str, host: str, device: str) -> Iterator[Lease]:
        """New trials while the budget lasts; the suggestions for several are made together."""
        if self.config.stop.may_end_early:
            self._stages.stop_early()
        if most > 1 and (left := self._stages.trials_left()) > 1:
            self.prepare(min(most, left))
        while (budget := self._stages.budget()).left > 0:
            try:
                trial = self._enqueued() if budget.enqueued else None
                trial = trial or store.new_trial(self.database, self.study_id, worker_id)
            except LeaseLost:  # this worker was stopped while it asked, and another one asks by now
                return
            if (lease := self._begin(trial, worker_id, host, device)) is not None:
                yield lease

    def _enqueued(self) -> FrozenTrial | None:
        """What ``study.ask()`` takes before it makes a new trial."""
        trial_id = self.optuna_study._pop_waiting_trial_id()
        return None if trial_id is None else self.database.optuna_storage.get_trial(trial_id)

    def _continue(self, abandoned: store.Abandoned, worker_id: str, host: str, device: str) -> Lease | None:
        if abandoned.config is None:  # its worker died between asking and beginning
            asked_for = self.database.optuna_storage.get_trial(abandoned.trial_id)
            return self._begin(asked_for, worker_id, host, device)
        lease_s = self.config.execution.lease_s
        taken = store.take_over(self.database, abandoned.trial_id, worker_id, lease_s, host=host, device=device)
        if taken is None:
            return None
        trial = (abandoned.trial_id, abandoned.number, taken.token, taken.attempts)
        try:
            config = TrialConfig.from_dict(abandoned.config)
            lease = Lease(*trial, config, fresh=taken.token == store.FIRST, confirms=abandoned.confirms)
        except InvalidConfig as invalid:  # written by another version, or its task family is not on this machine
            self._refuse(Lease(*trial, self.config.trial_config({})), Outcome.ERROR, str(invalid))
            return None
        if taken.attempts <= self.config.execution.max_attempts:
            return lease
        reason = f"given up after {taken.attempts - 1} attempts: each time the worker died"
        self._refuse(lease, Outcome.LOST, reason)
        return None

    def _begin(self, trial: FrozenTrial, worker_id: str, host: str, device: str) -> Lease | None:
        self.optuna_study._thread_local.cached_all_trials = None  # samplers read through it: see optuna.Study.ask
        params = proposed(self.optuna_study, trial, self.space)
        self._save_posterior()
        config, refusal = self._trial_config(params)
        try:
            token = store.begin_trial(
                self.database,
                study_id=self.study_id,
                trial_id=trial._trial_id,
                worker_id=worker_id,
                lease_s=self.config.execution.lease_s,
                config=config.to_dict(),
                seed=config.training.seed,
                host=host,
                device=device,
                params=params,
                distributions=distributions(self.space),
                prospect=getattr(self.sampler, "prospect", None),
            )
        except LeaseLost:  # let go a moment ago, and given to us by Optuna's queue: the next look continues it
            return None
        lease = Lease(trial._trial_id, trial.number, token, 1, config, fresh=True)
        if refusal is None:
            return lease
        self._refuse(lease, Outcome.ERROR, refusal)
        return None

    def _refuse(self, lease: Lease, outcome: Outcome, reason: str) -> None:
        """Ends a trial that is not to be trained; where somebody else has ended it already, so much the better."""
        with contextlib.suppress(LeaseLost):
            self.finish(lease, TrialOutcome(outcome=outcome, reason=reason))

    def _trial_config(self, params: Params) -> tuple[TrialConfig, str | None]:
        """A task family of the user's may refuse combinations that pass one by one."""
        try:
            return self.config.trial_config(params), None
        except InvalidConfig as invalid:
            return self.config.trial_config({}), str(invalid)

    def spec(self, lease: Lease, device: str, threads: int, folder: Path) -> TrialSpec:
        """What the runner needs. A fresh trial finds no checkpoint, not even one of a database that is gone."""
        checkpoints = folder / f"trial-{lease.trial_id}"
        if lease.fresh:
            shutil.rmtree(checkpoints, ignore_errors=True)
        checkpoints.mkdir(parents=True, exist_ok=True)
        return TrialSpec(
            trial_id=lease.trial_id,
            number=lease.number,
            config=lease.config.to_dict(),
            device=device,
            threads=threads,
            checkpoint_dir=str(checkpoints),
        )

    def report(self, lease: Lease, report: Report) -> bool:
        """Records the objective at a rung; whether the pruner ends the trial there. Raises LeaseLost."""
        store.report(self.database, lease.trial_id, lease.token, report)
        if report.meta_iteration >= lease.config.training.meta_iterations:
            return False  # trained to its end: nothing is saved by pruning it
        if lease.confirms is not None:
            return False  # nor is it a competitor: the pruner never sees it
        if self.config.pruner.kind == "none":
            return False
        with self.database.guard():
            frozen = self.database.optuna_storage.get_trial(lease.trial_id)
            return self._pruner.prune(self._competitors, frozen)

    def finish(self, lease: Lease, outcome: TrialOutcome) -> None:
        """Records how the trial ended, and whether the study is done. Raises LeaseLost."""
        found = compliance(self.config.constraints.each, lease.config, outcome)
        against = logarithms(self.config.objective.against, outcome)
        store.finish(self.database, lease.trial_id, lease.token, outcome, found, against)
        self.end_if_done()

    def end_if_done(self) -> None:
        """Marks the study as done where it is, with what its last trials have taught."""
        if not self.is_done():
            return
        self._stages.record_confirmed()
        store.set_status(self.database, self.study_id, "done")
        self._fit()

    def _fit(self) -> None:
        """For the posterior at the last trials, after which nobody asks."""
        self.prepare()
        self._save_posterior()

    def release(self, lease: Lease, *, interrupted: bool) -> None:
        """Lets the trial go, to be continued by whoever asks next; ``interrupted``: it is not the trial's fault."""
        store.release(self.database, lease.trial_id, lease.token, interrupted=interrupted)

    def record_checkpoint(self, lease: Lease, path: str) -> None:
        """Records where the newest checkpoint lies. Raises LeaseLost."""
        store.record_checkpoint(self.database, lease.trial_id, lease.token, path)

    def prepare(self, n: int = 1) -> None:
        """Computes the next ``n`` suggestions ahead, where the sampler is worth it; safe from another thread."""
        if (prepare := getattr(self.sampler, "prepare", None)) is not None:
            with self.database.guard():
                prepare(self.optuna_study, n)

    def is_running(self) -> bool:
        """False once somebody has paused or stopped the study."""
        return queries.study(self.database, self.name).status == "running"

    def folder(self, home: Path) -> Path:
        """Where this study's checkpoints are; two databases that share a home do not share it."""
        database = hashlib.sha256(self.database.url_masked.encode()).hexdigest()[:8]
        return home / f"{database}-{self.study_id}"

    def is_done(self) -> bool:
        """Whether nothing is left to be trained."""
        return self._stages.is_done()

    def _save_posterior(self) -> None:
        if posterior := getattr(self.sampler, "posterior", {}):
            store.set_posterior(self.database, self.study_id, posterior)
