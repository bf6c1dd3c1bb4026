"""What a launch ends with: the best config and the commands to go on with."""

from __future__ import annotations

import shlex
from typing import Any

import click

from hpo.cli import text
from hpo.cli.options import storage_url
from hpo.cli.output import to_json
from hpo.cli.progress import EndedTrial, Progress, most_frequent_failure
from hpo.results import queries
from hpo.results.engine import Database
from hpo.results.rows import BestRow, StudyRow

EVERY_TRIAL_FAILED = 1  # exit code
_ALL = 2**31 - 1  # ranks


def print_summary(last: Progress, database: Database, url: str, as_json: bool) -> int:
    """Prints the study's result on standard output; the exit code, which is 1 where no trial gave a result."""
    found = queries.best(database, last.study, 1)
    likely = found[0] if found else None
    if as_json:
        click.echo(to_json(record(last, likely)))
    else:
        click.echo("\n".join([_headline(last), *_result(last, likely, database, url)]))
    if last.failed and len(last.failed) == len(last.ended):
        click.echo(f"error: every trial failed; most often: {most_frequent_failure(last)}", err=True)
        return EVERY_TRIAL_FAILED
    return 0


def record(last: Progress, likely: BestRow | None) -> dict[str, Any]:
    """For programs; ``best`` is the likely best, ``luckiest`` the best single observation."""
    return {
        "study": last.study,
        "status": last.status,
        "trials": {
            "asked_for": last.total,
            "ended": len(last.ended),
            "ok": len(last.ended) - last.pruned - len(last.failed),
            "pruned": last.pruned,
            "failed": len(last.failed),
        },
        "elapsed_seconds": round(last.elapsed_s, 3),
        "best": best_record(likely) if likely is not None else None,
        "luckiest": _luckiest_record(last.best),
    }


def best_record(row: BestRow) -> dict[str, Any]:
    """The columns of the view hpo_best_configs that mean something outside of the database."""
    return {
        "rank": row.rank,
        "number": row.number,
        "value": row.value,
        "sem": row.sem,
        "posterior_mean": row.posterior_mean,
        "parameters": row.parameters,
        "seconds": row.seconds,
        "posterior_sd": row.posterior_sd,
    }


def _luckiest_record(trial: EndedTrial | None) -> dict[str, Any] | None:
    if trial is None or trial.objective is None:
        return None
    return {"number": trial.number, "value": trial.objective.mean, "sem": trial.objective.sem}


def _headline(last: Progress) -> str:
    trials = f"{len(last.ended)} of {last.total} trials ended: {last.pruned} pruned, {len(last.failed)} failed"
    took = f"; {text.duration(last.elapsed_s)}" if last.elapsed_s >= 1 else ""  # less: it was done before
    return f"study {text.printable(last.study)} is {last.status}; {trials}{took}"


def _result(last: Progress, likely: BestRow | None, database: Database, url: str) -> list[str]:
    if likely is None:
        return ["no trial was trained to its end"]
    lines = ["", f"best config: trial {likely.number}, {text.estimate(likely.value, likely.sem)}{_expected(likely)}"]
    width = max((len(name) for name in likely.parameters), default=0)
    lines += [f"  {name:<{width}}  {text.scalar(value)}" for name, value in likely.parameters.items()]
    if (lucky := luckier(database, queries.study(database, last.study))) is not None:
        observed = text.estimate(lucky.value, lucky.sem)
        lines.append(
            f"the best single observation, {observed}, is trial {lucky.number}'s{expected_of(lucky, last.direction)}"
        )
    return [*lines, "", *_going_on(last, database, url)]


def luckier(database: Database, study: StudyRow) -> BestRow | None:
    """The trial with the best observation, where that is not the likely best."""
    measured = [row for row in queries.best(database, study.name, _ALL) if row.value is not None]
    sign = 1.0 if study.direction == "minimize" else -1.0
    found = min(measured, key=lambda row: sign * (row.value or 0.0), default=None)
    return found if found is not None and found.rank > 1 else None


def expected_of(lucky: BestRow, direction: str) -> str:
    """What the surrogate makes of that observation, where it was asked; goes on a sentence."""
    if lucky.posterior_mean is None or lucky.value is None:
        return ""
    expected = text.estimate(lucky.posterior_mean, lucky.sem).partition(" ")[0]  # as many decimals as the observation
    is_worse = (lucky.posterior_mean > lucky.value) == (direction == "minimize")
    return f"; the surrogate expects {expected} of it" + ": trials near it did worse" * is_worse


def _expected(row: BestRow) -> str:
    if row.posterior_mean is None:
        return ""
    return f" (expected {text.interval(row.posterior_mean, row.posterior_sd)})"


def _going_on(last: Progress, database: Database, url: str) -> list[str]:
    name = shlex.quote(last.study)
    exported = shlex.quote(f"{_file_name(last.study)}-best.yaml")
    where = "" if url == storage_url(None) else f" --storage {shlex.quote(database.url_masked)}"
    commands = {
        f"hpo best {name}{where}": "the ranking",
        f"hpo export {name}{where} -o {exported}": "the best config as a file",
        f"hpo train {exported}": "train it with several seeds, test it on new tasks",
        f"hpo dashboard{where}": "look at everything in a browser",
        f"hpo query best{where}": "ask the database",
    }
    if last.status in ("paused", "stopped"):
        commands = {f"hpo resume {name}{where}": "let workers go on", **commands}
    width = max(map(len, commands))
    return ["go on with:", *(f"  {command:<{width}}  # {purpose}" for command, purpose in commands.items())]


def _file_name(study: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else "-" for char in study).lstrip("-.") or "study"
