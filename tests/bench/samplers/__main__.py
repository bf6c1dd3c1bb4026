"""How good the samplers are: ``python -m tests.bench.samplers`` (hours; ``--quick`` takes minutes).

Every contender plays every problem (problems.py) with every seed: 60 evaluations, the first ten the same for all. The
figures are regrets by the true worth of the best config that was evaluated, their logarithms paired with those of
Optuna's GPSampler (``gp``), mean ranks, and CPU seconds an ask. ``ours -clip`` is ours without clipped outcomes; so for
the other parts. What pruned trials teach (``ours -curves``) and what costs do (``ours +cost``) shows where the budget
is training: ``--problems language_id/iterations language_id/seconds`` (budget.py). ``botorch`` is optuna-integration's
BoTorchSampler, ``ax`` Ax, ``smac`` SMAC3, each without an initial design of its own. They and the tables are downloaded
once; what cannot be had is named and left out. With ``--keep FILE`` a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.bench import peers
from tests.bench.samplers import budget, report
from tests.bench.samplers.budget import BUDGETS
from tests.bench.samplers.contenders import ABLATIONS, ADDITIONS, CONTENDERS, available
from tests.bench.samplers.kept import Kept, Setting
from tests.bench.samplers.play import Play, play
from tests.bench.samplers.problems import NAMES, problem
from tests.bench.samplers.shapes import SHAPES

EVERYONE = (*CONTENDERS, *(f"ours -{part}" for part in ABLATIONS), *(f"ours +{part}" for part in ADDITIONS))


def parser() -> argparse.ArgumentParser:
    """Its options."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.samplers", description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    parser.add_argument("--quick", action="store_true", help="formulas only, three seeds, 40 evaluations")
    parser.add_argument("--contenders", nargs="+", choices=EVERYONE, default=list(CONTENDERS))
    parser.add_argument("--problems", nargs="+", choices=(*NAMES, *BUDGETS))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="of plays, which are not played again (kept.py)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    return parser


def run(options: argparse.Namespace) -> tuple[list[Play], list[str]]:
    """The plays, and what is missing and why."""
    names, missing = [], []
    for name in options.problems or (SHAPES if options.quick else NAMES):
        try:
            problem(name.partition("/")[0] if name in BUDGETS else name)
            names.append(name)
        except peers.Missing as reason:
            missing.append(f"{name}: {reason}")
    contenders, strangers = available(options.contenders, problem(SHAPES[0]).space)
    missing += strangers
    seeds = range(options.seeds or (3 if options.quick else 8))
    evaluations = options.evaluations or (40 if options.quick else 60)
    wanted = [(who, name, seed, evaluations) for seed, name, who in itertools.product(seeds, names, contenders)]
    return _plays(wanted, Kept(options.keep), options.processes), missing


def _plays(wanted: Sequence[Setting], kept: Kept, processes: int) -> list[Play]:
    """Those that were kept, and the others, each kept as soon as it has ended."""
    plays = {each: found for each in wanted if (found := kept.get(each))}
    with ProcessPoolExecutor(processes) as pool:
        work = {pool.submit(_play, *each): each for each in wanted if each not in plays}
        for number, future in enumerate(as_completed(work), 1):
            plays[work[future]] = future.result()
            kept.add(future.result())
            print(f"\r{number} of {len(work)} studies", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [plays[each] for each in wanted]


def _play(name: str, on: str, seed: int, evaluations: int) -> Play:
    return (budget.play if on in BUDGETS else play)(name, on, seed, evaluations)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table, or JSON."""
    options = parser().parse_args(arguments)
    plays, missing = run(options)
    if not plays:
        sys.exit("\n".join(("nothing can be compared", *(f"missing {line}" for line in missing))))
    found = report.results(plays) | {"missing": missing}
    print(json.dumps(found, indent=1) if options.json else report.markdown(found))
    for line in missing:
        print(f"missing {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
