"""``hpo show``: everything about one trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from hpo.cli import text
from hpo.cli.options import TrialNumber, examples, json_option, open_to_read, storage_option
from hpo.cli.output import Column, plain_table, to_json, to_yaml
from hpo.cli.studies import moment
from hpo.cli.terminal import say
from hpo.records import AdaptationCurve
from hpo.results import queries
from hpo.results.rows import TrialDetail, TrialRow

_REPORTS = (
    Column("meta-iteration", lambda row: str(row.meta_iteration), right=True),
    Column("objective", lambda row: text.estimate(row.value, row.sem)),
    Column("seconds", lambda row: "-" if row.seconds is None else f"{row.seconds:.1f}", right=True),
)
_CURVE = (
    Column("inner step", lambda point: str(point.inner_step), right=True),
    Column("loss", lambda point: text.of(point.loss)),
)
_ACCURACY = Column("accuracy", lambda point: text.of(point.accuracy))


@click.command(epilog=examples("hpo show quickstart 7", "hpo show quickstart 7 --json"))
@click.argument("study")
@click.argument("trial", type=TrialNumber())
@storage_option
@json_option
def show(study: str, trial: int, storage: str | None, as_json: bool) -> None:
    """Everything about TRIAL of STUDY: its outcome and reason, config, reports and adaptation curves."""
    with open_to_read(storage) as database:
        found = queries.trial(database, study, trial)
        warm_start = queries.study(database, study).warm_start
    say(to_json(as_record(found, warm_start)) if as_json else as_text(found, warm_start))


def as_record(found: TrialDetail, warm_start: Sequence[str]) -> dict[str, Any]:
    """For programs; ``warm_start``: the studies that the trial's study learns from."""
    return {
        **asdict(found.trial),
        "warm_start": list(warm_start),
        "config": found.config,
        "reports": [asdict(report) for report in found.reports],
        "curves": [curve.model_dump(mode="json") for curve in found.curves],
    }


def as_text(found: TrialDetail, warm_start: Sequence[str]) -> str:
    """Facts, then the config, then the curves."""
    parts = [_facts(found.trial, warm_start)]
    if found.config is not None:
        parts.append("config\n" + _indented(to_yaml(found.config)))
    if found.reports:
        parts.append("objective while it was trained\n" + _indented(plain_table(found.reports, _REPORTS)))
    parts += [_curve(curve) for curve in found.curves]
    return "\n\n".join(parts)


def _facts(row: TrialRow, warm_start: Sequence[str]) -> str:
    facts = {
        "outcome": row.outcome or _state(row),
        "reason": _reason(row.reason),
        "objective": _objective(row) if row.value is not None else None,
        "expected": text.interval(row.posterior_mean, row.posterior_sd) if row.posterior_mean is not None else None,
        "violates": row.violated,
        "confirmed": _confirmed(row),
        "confirms": f"trial {row.confirms}, with seed {row.seed}" if row.confirms is not None else None,
        "parameters": text.params(row.parameters),
        "meta-iterations": str(row.meta_iterations) if row.meta_iterations is not None else None,
        "time": text.duration(row.seconds) if row.seconds is not None else None,
        "peak memory": text.memory(row.peak_memory_bytes) if row.peak_memory_bytes is not None else None,
        "meta-parameters": str(row.meta_parameters) if row.meta_parameters else None,
        "gradients": row.gradients,
        "where": " ".join(filter(None, (row.host, row.device))),
        "attempts": str(row.attempts) if row.attempts is not None else None,
        "started": f"{moment(row.started_at)} UTC" if row.started_at else None,
        "ended": f"{moment(row.completed_at)} UTC" if row.completed_at else None,
        "checkpoint": row.checkpoint_uri,
        "study": text.warm_started(warm_start) if warm_start else None,
    }
    shown = [f"  {name:<15}  {text.printable(value)}" for name, value in facts.items() if value]
    return "\n".join([f"trial {row.number} of {text.printable(row.study)}", *shown])


def _objective(row: TrialRow) -> str:
    return text.estimate(row.value, row.sem) + text.after(row.objective_inner_steps)


def _confirmed(row: TrialRow) -> str | None:
    if row.confirmed_seeds is None:
        return None
    return text.of_new_seeds(row.confirmed_mean, row.confirmed_sem, row.confirmed_seeds, row.confirmed_failed or 0)


def _state(row: TrialRow) -> str:
    if row.state != "WAITING":
        return row.state.lower()
    return "let go, to be continued" if row.attempts is not None else "not begun yet"


def _reason(reason: str | None) -> str | None:
    return reason.strip().replace("\n", " | ") if reason else None


def _curve(curve: AdaptationCurve) -> str:
    regression = all(point.accuracy is None for point in curve.points)
    columns = _CURVE if regression else (*_CURVE, _ACCURACY)
    return f"adaptation on {curve.tasks} {curve.split} tasks\n{_indented(plain_table(curve.points, columns))}"


def _indented(lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines.rstrip().splitlines())
