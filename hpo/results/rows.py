"""What is read from the database: frozen, one class a kind of row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from hpo.config.training import Direction
from hpo.records import AdaptationCurve
from hpo.space import Params


class StudyStatus(StrEnum):
    """What workers do with a study."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


@dataclass(frozen=True)
class StudyRow:
    """One study that hpo has made."""

    study_id: int
    name: str
    direction: Direction
    metric: str
    status: StudyStatus
    priority: int
    config: dict[str, Any]
    config_hash: str
    code_version: str
    created: float  # seconds since 1970 UTC
    candidates: list[int] | None  # numbers of the trials that are confirmed; None: not chosen yet
    stop_reason: str | None  # why the search ended before its trials were used up
    warm_start: tuple[str, ...] = ()  # names of the studies whose trials are data of this one

    @property
    def version(self) -> object:
        """Another one where a worker has to look again."""
        return self.config_hash, self.warm_start


@dataclass(frozen=True)
class TrialCounts:
    """Trials of a study by Optuna's states; those WAITING to be continued are apart from those not begun yet."""

    waiting: int = 0
    let_go: int = 0
    running: int = 0
    complete: int = 0
    pruned: int = 0
    failed: int = 0

    @property
    def ended(self) -> int:
        """Trials that have ended, however."""
        return self.complete + self.pruned + self.failed

    @property
    def begun(self) -> int:
        """All but those that somebody has enqueued and nobody begun."""
        return self.running + self.let_go + self.ended


class Counted(NamedTuple):
    """Trials of a study's search, and those that repeat some of them with new seeds."""

    search: TrialCounts
    confirmations: TrialCounts


class Abandoned(NamedTuple):
    """A trial that was begun and that nobody works on; ``config`` is None where its worker died before it was known."""

    trial_id: int
    number: int
    attempts: int
    config: dict[str, Any] | None
    confirms: int | None  # number of the trial that it repeats with another seed


class Repeat(NamedTuple):
    """A training that is planned: trial ``confirms`` once more, as ``config``, which has another seed."""

    confirms: int
    seed: int
    config: dict[str, Any]


class Taken(NamedTuple):
    """A lease that was taken over: its fencing token and which attempt this is."""

    token: int
    attempts: int


@dataclass(frozen=True)
class StudySummary:
    """One line of the list of studies; metric, status, priority and created_at are None where hpo has not made it."""

    study_id: int
    study: str
    direction: str
    metric: str | None
    status: str | None
    priority: int | None
    trials: int
    running: int
    complete: int
    pruned: int
    failed: int
    created_at: str | None
    code_version: str | None
    confirmations: int  # trials that repeat others with new seeds; the counts above are without them
    stop_reason: str | None  # why the search ended before its trials were used up


@dataclass(frozen=True)
class TrialRow:
    """One row of the view hpo_trials; what was not measured is None."""

    study: str
    number: int
    state: str
    outcome: str | None
    reason: str | None
    value: float | None
    sem: float | None
    posterior_mean: float | None
    parameters: Params
    started_at: str | None  # ISO 8601, UTC
    completed_at: str | None
    seconds: float | None
    meta_iterations: int | None
    peak_memory_bytes: int | None
    gradients: str | None  # how derivatives were computed
    host: str | None
    device: str | None
    attempts: int | None
    seed: int | None
    checkpoint_uri: str | None
    study_id: int
    trial_id: int
    posterior_sd: float | None
    confirms: int | None  # number of the trial that it repeats with another seed
    confirmed_mean: float | None  # as in BestRow
    confirmed_sem: float | None
    confirmed_seeds: int | None
    confirmed_failed: int | None
    objective_inner_steps: int | None  # as in BestRow
    meta_parameters: int | None  # numbers that were meta-learned
    violated: str | None  # constraints of the study, in words; None: none


@dataclass(frozen=True)
class RecordedTrial:
    """What a trial was, or is to be, trained with; ``config`` is None where nobody has begun it."""

    trial_id: int
    number: int
    state: str
    parameters: Params
    config: dict[str, Any] | None

    @property
    def is_begun(self) -> bool:
        """Whether all its fields have values."""
        return self.config is not None or self.state not in ("RUNNING", "WAITING")


@dataclass(frozen=True)
class BestRow:
    """One row of the view hpo_best_configs, and the whole config that can be trained again."""

    study: str
    rank: int  # 1 is the best
    number: int
    value: float | None
    sem: float | None
    posterior_mean: float | None
    parameters: Params
    seconds: float | None
    study_id: int
    trial_id: int
    posterior_sd: float | None
    confirmed_mean: float | None  # over the new seeds, none of them the one it was found with; None: not confirmed
    confirmed_sem: float | None
    confirmed_seeds: int | None  # that gave a value
    confirmed_failed: int | None  # that gave none
    objective_inner_steps: int | None  # after which it was measured; None: as many as the trial was trained with
    violated: str | None  # constraints of the study, in words; None: none
    config: dict[str, Any] | None


@dataclass(frozen=True)
class CurveRow:
    """The objective at one rung of one trial."""

    number: int
    meta_iteration: int
    value: float | None
    sem: float | None
    seconds: float | None


@dataclass(frozen=True)
class RunningRow:
    """A trial in progress and what it reported last."""

    number: int
    host: str | None
    device: str | None
    attempts: int | None
    worker_id: str | None  # None: nobody holds a lease
    confirms: int | None
    started_at: str | None
    meta_iteration: int | None
    value: float | None
    sem: float | None
    seconds: float | None


@dataclass(frozen=True)
class WorkerRow:
    """One row of the view hpo_workers."""

    worker_id: str
    host: str
    pid: int
    device: str
    study: str | None
    number: int | None
    last_seen_at: str
    silent_seconds: float


@dataclass(frozen=True)
class TrialDetail:
    """Everything that is known of one trial."""

    trial: TrialRow
    config: dict[str, Any] | None
    reports: tuple[CurveRow, ...]
    curves: tuple[AdaptationCurve, ...]

    @property
    def config_to_repeat(self) -> dict[str, Any]:
        """The config that another training of it has; the number of test-time steps is what this one has chosen."""
        config, steps = self.config or {}, self.trial.objective_inner_steps
        return config if steps is None else {**config, "objective": {**config["objective"], "inner_steps": steps}}


@dataclass(frozen=True)
class StudyProgress:
    """Where a study stands."""

    study: StudyRow
    counts: TrialCounts  # of the search
    outcomes: dict[str, int]  # outcome -> trials of the search
    best: BestRow | None
    running: tuple[RunningRow, ...]
    workers: tuple[WorkerRow, ...]
    trials_per_hour: float | None  # over the newest ended trials; None before two have ended
    confirmations: TrialCounts  # trials that repeat others with new seeds
