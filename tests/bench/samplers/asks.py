"""What a suggestion costs: ``python -m tests.bench.samplers.asks`` (minutes).

CPU seconds of an ask after n trials of the noisy quadratic: the first is cold, as in a new worker; warm is the median
of five more, each after one more trial was told. Each figure is of a process of its own, in turn, in which libraries
have one thread: GPSampler leaves SciPy its threads, and would take up to twice as much.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import optuna
import torch

from hpo.child_process import thread_environment
from hpo.sampler import distributions
from tests.bench.samplers.contenders import CONTENDERS, available
from tests.bench.samplers.play import asked
from tests.bench.samplers.problems import problem

SIZES = (30, 100, 300, 1000)
ASKS = 6


def seconds(name: str, n: int, asks: int = ASKS) -> dict[str, float]:
    """``cold``: the first ask; ``warm``: the median of the others."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    task, rng, took = problem("noisy_quadratic"), np.random.default_rng(0), []
    study = optuna.create_study(sampler=CONTENDERS[name](task.space, 0))
    known = [task.space.decode(rng.random(len(task.space))) for _ in range(n)]
    each = distributions(task.space)
    study.add_trials(
        [optuna.trial.create_trial(params=params, distributions=each, value=task.told(params, rng)) for params in known]
    )
    for _ in range(asks):
        began = time.process_time()
        trial = study.ask()
        params = asked(trial, task.space)
        took.append(time.process_time() - began)
        study.tell(trial, task.told(params, rng))
    return {"cold": took[0], "warm": statistics.median(took[1:])}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.samplers.asks", description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=["ours", "gp", "botorch"])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    options = parser.parse_args(arguments)
    os.environ |= thread_environment(1)
    contenders, missing = available(options.contenders, problem("noisy_quadratic").space)
    for line in missing:
        print(f"missing {line}", file=sys.stderr)
    found: dict[str, dict[int, dict[str, float]]] = {name: {} for name in contenders}
    for n in options.sizes:
        for name in contenders:
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                found[name][n] = fresh.submit(seconds, name, n).result()
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print("| CPU seconds of an ask, warm (cold), after | " + " | ".join(map(str, options.sizes)) + " |")
    print("|---" * (len(options.sizes) + 1) + "|")
    for name, by_size in found.items():
        cells = (f"{by_size[n]['warm']:.3f} ({by_size[n]['cold']:.2f})" for n in options.sizes)
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
