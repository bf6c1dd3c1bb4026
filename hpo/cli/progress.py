"""What a launch shows while it runs: the state, and the lines that tell how it changed."""

from __future__ import annotations

from dataclasses import dataclass

from hpo.cli import text
from hpo.config.training import Direction
from hpo.records import Estimate, Outcome, sign

MIN_ENDED_FOR_FORECAST = 2
FAILED = frozenset(Outcome) - {Outcome.OK, Outcome.PRUNED}


@dataclass(frozen=True)
class RunningTrial:
    """A trial that a worker holds; ``objective`` at its last rung."""

    number: int
    where: str  # "cuda:0", or "host cuda:0" where it is another host
    meta_iteration: int
    meta_iterations: int
    objective: Estimate | None = None
    confirms: int | None = None

    @property
    def name(self) -> str:
        """``trial 7``, or ``trial 24 (again 7)`` where it repeats that one with another seed."""
        return named(self.number, self.confirms)


@dataclass(frozen=True)
class EndedTrial:
    """A trial that has ended, however it did."""

    number: int
    outcome: Outcome
    objective: Estimate | None = None
    seconds: float = 0.0
    reason: str | None = None
    confirms: int | None = None  # number of the trial that it repeats with another seed
    violated: str | None = None  # constraints of the study, in words

    @property
    def name(self) -> str:
        """As of a running one."""
        return named(self.number, self.confirms)


def named(number: int, confirms: int | None) -> str:
    """A trial as lines and tables call it."""
    return f"trial {number}" if confirms is None else f"trial {number} (again {confirms})"


@dataclass(frozen=True)
class Progress:
    """One look at a study; ``ended`` in the order in which they ended, ``elapsed_s`` since the launch.

    ``total`` and ``ended`` are the search's; ``to_confirm`` trainings with new seeds follow, as far as is known now.
    """

    study: str
    status: str
    direction: Direction
    total: int
    ended: tuple[EndedTrial, ...] = ()
    running: tuple[RunningTrial, ...] = ()
    elapsed_s: float = 0.0
    to_confirm: int = 0
    stop_reason: str | None = None  # why the search ended early
    confirmations: tuple[EndedTrial, ...] = ()

    @property
    def left(self) -> int:
        """Trainings that have not ended."""
        return max(0, self.total - len(self.ended)) + max(0, self.to_confirm - len(self.confirmations))

    @property
    def pruned(self) -> int:
        """Trials that the pruner ended."""
        return sum(trial.outcome is Outcome.PRUNED for trial in self.ended)

    @property
    def failed(self) -> tuple[EndedTrial, ...]:
        """Trials that gave no objective."""
        return tuple(trial for trial in self.ended if trial.outcome in FAILED)

    @property
    def best(self) -> EndedTrial | None:
        """The best observation among trials that were trained to their end and violate no constraint."""
        return best_of(self.ended, self.direction)

    @property
    def seconds_left(self) -> float | None:
        """A forecast from the ended trials' durations; None while too little is known."""
        seconds = [trial.seconds for trial in self.ended if trial.seconds > 0]
        if len(seconds) < MIN_ENDED_FOR_FORECAST or not self.running:
            return None
        begun = sum(trial.meta_iteration / max(1, trial.meta_iterations) for trial in self.running)
        trials_left = max(0.0, self.left - begun)
        return trials_left * sum(seconds) / len(seconds) / len(self.running)


def best_of(ended: tuple[EndedTrial, ...], direction: Direction) -> EndedTrial | None:
    """The first of the best; None where no trial was trained to its end without violating a constraint."""
    measured = [trial for trial in ended if trial.outcome is Outcome.OK and trial.objective is not None]
    satisfying = [trial for trial in measured if trial.violated is None]
    return min(satisfying, key=lambda trial: sign(direction) * _mean(trial), default=None)


def _mean(trial: EndedTrial) -> float:
    return trial.objective.mean if trial.objective is not None else float("nan")


def new_lines(before: Progress | None, now: Progress) -> list[str]:
    """One line for each trial that has ended since ``before``; what had ended before the first look is summed up."""
    if before is None:
        return _opening(now)
    stopped = [f"the search stopped {now.stop_reason}"] if now.stop_reason and not before.stop_reason else []
    lines = stopped + [_ended_line(now, index) for index in _fresh(before.ended, now.ended)]
    return lines + [_confirmation_line(now, index) for index in _fresh(before.confirmations, now.confirmations)]


def _fresh(before: tuple[EndedTrial, ...], now: tuple[EndedTrial, ...]) -> list[int]:
    known = {trial.number for trial in before}
    return [index for index, trial in enumerate(now) if trial.number not in known]


def _opening(now: Progress) -> list[str]:
    if not now.ended:
        return []
    return [f"going on: {len(now.ended)} of {now.total} trials have ended before{_best_so_far(now.best)}"]


def _ended_line(now: Progress, index: int) -> str:
    trial, width = now.ended[index], len(str(now.total))
    best = best_of(now.ended[: index + 1], now.direction)
    line = f"[{index + 1:>{width}}/{now.total}] {_told(trial)}"
    return f"{line}{_best_so_far(best)} {text.duration(trial.seconds)}"


def _confirmation_line(now: Progress, index: int) -> str:
    trial, width = now.confirmations[index], len(str(now.to_confirm))
    return f"[new seed {index + 1:>{width}}/{now.to_confirm}] {_told(trial)} {text.duration(trial.seconds)}"


def _told(trial: EndedTrial) -> str:
    reason = text.one_line(trial.reason or "no reason given")
    told = text.of(trial.objective) if trial.objective is not None else reason
    violated = f", violates {trial.violated}" if trial.violated is not None else ""
    return f"{trial.name} {trial.outcome} {told}{violated}"


def _best_so_far(best: EndedTrial | None) -> str:
    return f" (best {text.of(best.objective)}, trial {best.number})" if best is not None else ""


def standing(now: Progress) -> str:
    """One line for a log that has been silent for long."""
    trials = ", ".join(
        f"{trial.name} at {trial.meta_iteration}/{trial.meta_iterations} on {trial.where}" for trial in now.running
    )
    width = len(str(now.total))
    return f"[{len(now.ended):>{width}}/{now.total}] after {text.duration(now.elapsed_s)}: {trials or 'no trial runs'}"


def counts(now: Progress) -> str:
    """``2 running · 3 pruned · 1 failed``."""
    return f"{len(now.running)} running · {now.pruned} pruned · {len(now.failed)} failed"


def most_frequent_failure(now: Progress) -> str | None:
    """The reason that most failed trials share."""
    reasons = [f"{trial.outcome}: {trial.reason or 'no reason given'}" for trial in now.failed]
    return max(reasons, key=reasons.count, default=None)
