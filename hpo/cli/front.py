"""``hpo best --pareto``: what each bit of a better objective costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpo.cli import text
from hpo.cli.output import Column
from hpo.cli.parameters import parameter_columns
from hpo.config.constraints import as_text
from hpo.records import Outcome, sign
from hpo.results.rows import StudyRow, TrialRow
from hpo.tradeoffs import front


def front_records(study: StudyRow, trials: Sequence[TrialRow], against: Sequence[str]) -> list[dict[str, Any]]:
    """The Pareto front of objective and measurements, by the first of these from the cheapest on.

    Of trials that were trained to their end, violate no constraint and repeat no other one; by what they measured.
    """
    best = set(front(dict(_points(study, trials, against))))
    rows = [_record(trial, against) for trial in trials if trial.number in best]
    return sorted(rows, key=lambda row: (row[against[0]], row["number"]))


def _points(
    study: StudyRow, trials: Sequence[TrialRow], against: Sequence[str]
) -> Iterator[tuple[int, tuple[float, ...]]]:
    for trial in trials:
        counts = trial.outcome == Outcome.OK and trial.violated is None and trial.confirms is None
        measured = [getattr(trial, measurement) for measurement in against]
        if counts and trial.value is not None and None not in measured:
            yield trial.number, (sign(study.direction) * trial.value, *measured)


def _record(trial: TrialRow, against: Sequence[str]) -> dict[str, Any]:
    return {
        "number": trial.number,
        "value": trial.value,
        "sem": trial.sem,
        **{measurement: getattr(trial, measurement) for measurement in against},
        "posterior_mean": trial.posterior_mean,
        "posterior_sd": trial.posterior_sd,
        "objective_inner_steps": trial.objective_inner_steps,
        "parameters": trial.parameters,
    }


def front_columns(rows: Sequence[Mapping[str, Any]], against: Sequence[str]) -> list[Column]:
    """Trial, objective, each measurement, then a column for each parameter."""
    return [
        Column("trial", lambda row: str(row["number"]), right=True),
        Column("objective", lambda row: text.estimate(row["value"], row["sem"])),
        *(_measurement(name) for name in against),
        *parameter_columns(rows),
    ]


def _measurement(name: str) -> Column:
    return Column(name, lambda row: as_text(row[name]), right=True)
