"""What a launch ends with: the best config and the commands to go on with."""

from __future__ import annotations

import shlex
from typing import Any

from hpo.cli import text
from hpo.cli.options import storage_url
from hpo.cli.output import to_json
from hpo.cli.progress import EndedTrial, Progress, most_frequent_failure
from hpo.cli.terminal import say
from hpo.report.verdicts import Verdicts
from hpo.results import queries
from hpo.results.engine import Database
from hpo.results.rows import BestRow

EVERY_TRIAL_FAILED = 1  # exit code


def print_summary(last: Progress, database: Database, url: str, as_json: bool) -> int:
    """Prints the study's result on standard output; the exit code, which is 1 where no trial gave a result."""
    ranked = queries.best(database, last.study, 1)
    found = Verdicts.of(database, queries.study(database, last.study))
    best = ranked[0] if ranked else None
    if as_json:
        say(to_json(record(last, best, found)))
    else:
        stopped = [f"the search stopped {last.stop_reason}"] if last.stop_reason else []
        say("\n".join([_headline(last), *stopped, *_result(last, best, found, database, url)]))
    if last.failed and len(last.failed) == len(last.ended):
        say(f"error: every trial failed; most often: {most_frequent_failure(last)}", err=True)
        return EVERY_TRIAL_FAILED
    return 0


def record(last: Progress, best: BestRow | None, found: Verdicts) -> dict[str, Any]:
    """For programs; ``best`` is the confirmed best where there is one, else the likely best."""
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
        "best": best_record(best, found) if best is not None else None,
        "luckiest": _luckiest_record(last.best),
        "likely_best": best_record(found.likely, found) if found.likely is not None else None,
        "stop_reason": last.stop_reason,
        "confirmations": {"planned": last.to_confirm, "ended": len(last.confirmations)},
    }


def best_record(row: BestRow, found: Verdicts) -> dict[str, Any]:
    """The columns of the view hpo_best_configs that mean something outside of the database, and what is said of it.

    ``behind_mean``: by how much it is worse than the confirmed best, over ``behind_seeds`` seeds that both have.
    """
    behind = next((one.behind for one in found.confirmed if one.number == row.number), None)
    return {
        "rank": row.rank,
        "number": row.number,
        "value": row.value,
        "sem": row.sem,
        "posterior_mean": row.posterior_mean,
        "parameters": row.parameters,
        "seconds": row.seconds,
        "posterior_sd": row.posterior_sd,
        "confirmed_mean": row.confirmed_mean,
        "confirmed_sem": row.confirmed_sem,
        "confirmed_seeds": row.confirmed_seeds,
        "confirmed_failed": row.confirmed_failed,
        "objective_inner_steps": row.objective_inner_steps,
        "behind_mean": behind.difference.mean if behind is not None else None,
        "behind_sem": behind.difference.sem if behind is not None and behind.seeds > 1 else None,
        "behind_seeds": behind.seeds if behind is not None else None,
        "is_luckiest": _is(row, found.luckiest),
        "is_likely_best": _is(row, found.likely),
        "violated": row.violated,
    }


def _is(row: BestRow, other: BestRow | None) -> bool:
    return other is not None and row.number == other.number


def _luckiest_record(trial: EndedTrial | None) -> dict[str, Any] | None:
    if trial is None or trial.objective is None:
        return None
    return {"number": trial.number, "value": trial.objective.mean, "sem": trial.objective.sem}


def _headline(last: Progress) -> str:
    trials = f"{len(last.ended)} of {last.total} trials ended: {last.pruned} pruned, {len(last.failed)} failed"
    took = f"; {text.duration(last.elapsed_s)}" if last.elapsed_s >= 1 else ""  # less: it was done before
    return f"study {text.printable(last.study)} is {last.status}; {trials}{_confirming(last)}{took}"


def _confirming(last: Progress) -> str:
    if not last.to_confirm:
        return ""
    return f"; {len(last.confirmations)} of {last.to_confirm} trainings with new seeds ended"


def _result(last: Progress, best: BestRow | None, found: Verdicts, database: Database, url: str) -> list[str]:
    if best is None:
        return ["no trial was trained to its end"]
    lines = ["", f"best config: trial {best.number}, {_why(best)}", *_violation(best)]
    steps = best.objective_inner_steps
    chosen = best.parameters | ({} if steps is None else {"objective.inner_steps": steps})
    width = max((len(name) for name in chosen), default=0)
    lines += [f"  {name:<{width}}  {text.scalar(value)}" for name, value in chosen.items()]
    return [*lines, "", *verdict_lines(found), "", *_going_on(last, database, url)]


def _violation(best: BestRow) -> list[str]:
    """The best of a study may be one that violates a constraint, where every trial does."""
    return [] if best.violated is None else [f"no trial satisfies all constraints: it violates {best.violated}"]


def _why(best: BestRow) -> str:
    """By what it is ranked first."""
    if best.confirmed_seeds is not None:
        made = text.of_new_seeds(best.confirmed_mean, best.confirmed_sem, best.confirmed_seeds, 0)
        return f"{made} (confirmed)" if best.confirmed_seeds else "which failed with every new seed, as all candidates"
    observed = text.estimate(best.value, best.sem)
    if best.posterior_mean is None:
        return observed
    return f"{observed} (expected {text.interval(best.posterior_mean, best.posterior_sd)})"


def verdict_lines(found: Verdicts) -> list[str]:
    """Luckiest, likely best and confirmed, one under the other."""
    said = found.sentences()
    width = max(map(len, said), default=0)
    return [f"{name:<{width}}  {sentence}" for name, sentence in said.items()]


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
