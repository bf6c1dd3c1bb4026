"""``hpo status`` and ``hpo studies``: how far, and which there are."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from hpo.cli import text
from hpo.cli.options import examples, format_options, json_option, open_to_read, storage_option
from hpo.cli.output import Column, plain_table, show, to_json
from hpo.cli.terminal import say
from hpo.config.constraints import in_words
from hpo.results import queries
from hpo.results.rows import RunningRow, StudyProgress, StudyRow, WorkerRow
from hpo.tradeoffs import traded_against

_STUDIES = (
    Column("study", lambda row: row["study"]),
    Column("status", lambda row: row["status"] or "not hpo's"),
    Column("trials", lambda row: str(row["trials"]), right=True),
    Column("running", lambda row: str(row["running"]), right=True),
    Column("complete", lambda row: str(row["complete"]), right=True),
    Column("pruned", lambda row: str(row["pruned"]), right=True),
    Column("failed", lambda row: str(row["failed"]), right=True),
    Column("optimizes", lambda row: f"{row['direction']} {row['metric'] or ''}".strip()),
    Column("created (UTC)", lambda row: moment(row["created_at"])),
)
_RUNNING = (
    Column("trial", lambda row: str(row.number) if row.confirms is None else f"{row.number} (again {row.confirms})"),
    Column("meta-iteration", lambda row: str(row.meta_iteration or 0), right=True),
    Column("objective", lambda row: text.estimate(row.value, row.sem)),
    Column("host", lambda row: row.host or "-"),
    Column("device", lambda row: row.device or "-"),
    Column("attempt", lambda row: str(row.attempts or 1), right=True),
    Column("held by", lambda row: row.worker_id[:8] if row.worker_id else "nobody: the next worker continues it"),
)


@click.command(epilog=examples("hpo studies", "hpo studies --format csv"))
@storage_option
@format_options
def studies(storage: str | None, form: str) -> None:
    """All studies of the database, those of other Optuna programs too."""
    with open_to_read(storage) as database:
        rows = [asdict(row) for row in queries.summaries(database)]
        show(rows, _STUDIES, form, empty=f"{database.url_masked} holds no study yet")


@click.command(epilog=examples("hpo status", "hpo status quickstart --json"))
@click.argument("study", required=False)
@storage_option
@json_option
def status(study: str | None, storage: str | None, as_json: bool) -> None:
    """How far STUDY is, its best trial and what runs; without STUDY, of every study that hpo has made."""
    with open_to_read(storage) as database:
        names = (
            [study]
            if study is not None
            else [row.study for row in queries.summaries(database) if row.status is not None]
        )
        found = [queries.progress(database, name) for name in names]
        if as_json:
            say(to_json(as_record(found[0]) if study is not None else [as_record(one) for one in found]))
        elif found:
            workers = queries.workers(database)
            say("\n\n".join(as_text(one, workers) for one in found))
        else:
            say(f"{database.url_masked} holds no study yet", err=True)


def as_record(found: StudyProgress) -> dict[str, Any]:
    """For programs; without the study's config, which is long."""
    values = asdict(found)
    del values["study"]["config"]
    if values["best"] is not None:
        del values["best"]["config"]
    created = datetime.fromtimestamp(round(values["study"]["created"], 3), UTC)
    values["study"]["created"] = created.isoformat(timespec="milliseconds").replace("+00:00", "Z")  # as in the views
    return {**values.pop("study"), **values, "total": total(found)}


def total(found: StudyProgress) -> int:
    """How many trials the study's config asks for."""
    return int(found.study.config["stop"]["trials"])


def as_text(found: StudyProgress, workers: Sequence[WorkerRow]) -> str:
    """A few lines, and a table of what runs; ``workers`` are the database's."""
    counts, study = found.counts, found.study
    held = sum(row.worker_id is not None for row in found.running)
    let_go = f", {counts.let_go} let go" if counts.let_go else ""
    lines = [
        f"{text.printable(study.name)}: {study.status}, {counts.ended} of {total(found)} trials ended "
        f"({counts.complete} complete, {counts.pruned} pruned, {counts.failed} failed), {held} running{let_go}",
        f"  {study.direction}s {study.metric}{_against(study)}{_constraints(study)}; {_best(found)}",
    ]
    if study.stop_reason is not None:
        lines.append(f"  the search stopped {study.stop_reason}")
    lines += [f"  {line}" for line in _confirming(found)]
    if study.warm_start:
        lines.append(f"  {text.printable(text.warm_started(study.warm_start))}")
    if found.outcomes:
        lines.append("  outcomes: " + ", ".join(f"{count} {outcome}" for outcome, count in found.outcomes.items()))
    if found.trials_per_hour is not None and study.status == "running":
        decimals = 0 if found.trials_per_hour >= 10 else 1
        lines.append(f"  {found.trials_per_hour:.{decimals}f} trials an hour{_forecast(found)}")
    if study.status == "running" and not _is_worked_on(found, workers):
        again = f"hpo worker --study {text.printable(shlex.quote(study.name))}"
        lines.append(f"  no worker: launch its config again, or  {again}")
    return "\n".join([*lines, *_running_table(found.running)])


def _is_worked_on(found: StudyProgress, workers: Sequence[WorkerRow]) -> bool:
    """Whether a worker of this study, or one between two trials, has shown itself lately."""
    lease_s = float(found.study.config["execution"]["lease_s"])  # renewed three times as often
    return any(worker.study in (None, found.study.name) and worker.silent_seconds < lease_s for worker in workers)


def _against(study: StudyRow) -> str:
    against = traded_against(study.config)
    return f" against {', '.join(against)}" if against else ""


def _constraints(study: StudyRow) -> str:
    constraints = in_words(study.config)
    return f" with {constraints}" if constraints else ""


def _best(found: StudyProgress) -> str:
    best = found.best
    if best is None:
        return "no trial was trained to its end yet"
    parameters = text.printable(text.params(best.parameters))
    objective = text.estimate(best.value, best.sem)
    if best.confirmed_seeds:
        objective = f"{text.estimate(best.confirmed_mean, best.confirmed_sem)} over {best.confirmed_seeds} new seeds"
    violated = f", violates {best.violated}" if best.violated is not None else ""
    return f"best {objective}, trial {best.number}{violated}: {parameters}"


def _confirming(found: StudyProgress) -> list[str]:
    counts, chosen = found.confirmations, found.study.candidates or []
    if not counts.begun:
        return []
    names = ", ".join(map(str, chosen))
    return [f"the likely best again, trials {names}: {counts.ended} of {counts.begun} trainings with new seeds ended"]


def _forecast(found: StudyProgress) -> str:
    trials = total(found) if found.study.stop_reason is None else found.counts.begun
    left = trials - found.counts.ended + found.confirmations.begun - found.confirmations.ended
    if left <= 0 or not found.trials_per_hour or not found.workers:
        return ""
    return f", about {text.duration(3600 * left / found.trials_per_hour)} left"


def _running_table(running: tuple[RunningRow, ...]) -> list[str]:
    if not running:
        return []
    return ["", *("  " + line for line in plain_table(running, _RUNNING).splitlines())]


def moment(iso: str | None) -> str:
    """``2026-03-01 12:34:56`` from ISO 8601."""
    return iso[:19].replace("T", " ") if iso else "-"
