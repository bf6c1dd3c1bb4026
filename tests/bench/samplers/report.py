"""What the plays of a run come to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from scipy.stats import rankdata

from tests.bench.samplers.play import Play

BASELINE = "gp"
AT = (20, 40, 60)


def results(plays: Sequence[Play], at: Sequence[int] = AT) -> dict[str, Any]:
    """Median regret by problem and contender; over all problems the mean rank and log10 regret less the baseline's."""
    contenders, problems = _unique(p.contender for p in plays), _unique(p.problem for p in plays)
    at = [n for n in at if n <= len(plays[0].regret)] or [len(plays[0].regret)]
    by = {(p.contender, p.problem, p.seed): p for p in plays}
    seeds = sorted({p.seed for p in plays})
    return {
        "seeds": len(seeds),
        "regret": {
            problem: {
                name: {n: statistics.median(by[name, problem, seed].regret[n - 1] for seed in seeds) for n in at}
                for name in contenders
            }
            for problem in problems
        },
        "rank": {name: {n: _mean_rank(by, name, contenders, problems, seeds, n) for n in at} for name in contenders},
        "log10 regret less the baseline's": {
            name: {problem: _difference(by, name, [problem], seeds, at[-1]) for problem in problems}
            | {"all": _difference(by, name, problems, seeds, at[-1])}
            for name in contenders
            if BASELINE in contenders
        },
        "cpu seconds an ask": {
            name: statistics.mean(s for p in plays if p.contender == name for s in p.cpu) for name in contenders
        },
    }


Plays = dict[tuple[str, str, int], Play]


def _mean_rank(
    by: Plays, name: str, contenders: Sequence[str], problems: Sequence[str], seeds: Sequence[int], n: int
) -> float:
    """1 is best; equal ones share the mean of their ranks."""
    ranks = [
        rankdata([by[other, problem, seed].regret[n - 1] for other in contenders])[contenders.index(name)]
        for problem in problems
        for seed in seeds
    ]
    return float(statistics.mean(ranks))


def _difference(by: Plays, name: str, problems: Sequence[str], seeds: Sequence[int], n: int) -> dict[str, float]:
    """Mean over problems and seeds, paired, and its standard error over seeds."""

    def log10(who: str, problem: str, seed: int) -> float:
        return math.log10(by[who, problem, seed].regret[n - 1])

    paired = [
        statistics.mean(log10(name, problem, seed) - log10(BASELINE, problem, seed) for problem in problems)
        for seed in seeds
    ]
    error = statistics.stdev(paired) / math.sqrt(len(paired)) if len(paired) > 1 else math.nan
    return {"mean": statistics.mean(paired), "standard error": error}


def markdown(found: dict[str, Any]) -> str:
    """The tables of ``results``."""
    contenders = list(found["rank"])
    last = list(found["rank"][contenders[0]])[-1]
    lines = [f"| median regret after {last} | " + " | ".join(contenders) + " |", "|---" * (len(contenders) + 1) + "|"]
    for problem, regret in found["regret"].items():
        lines.append(f"| {problem} | " + " | ".join(f"{regret[name][last]:.3g}" for name in contenders) + " |")
    lines.append("| mean rank | " + " | ".join(f"{found['rank'][name][last]:.2f}" for name in contenders) + " |")
    differences = found["log10 regret less the baseline's"]
    if differences:
        shown = (differences[name]["all"] for name in contenders)
        lines.append("| log10 | " + " | ".join(f"{d['mean']:+.2f} ± {d['standard error']:.2f}" for d in shown) + " |")
    cpu = found["cpu seconds an ask"]
    lines.append("| CPU s an ask | " + " | ".join(f"{cpu[name]:.3f}" for name in contenders) + " |")
    return "\n".join(lines)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
