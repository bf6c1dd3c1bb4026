"""Accuracy at the 1st, 2nd, ... drawing of a character: ``python -m tests.bench.instances`` (hours).

The task of Santoro et al. 2016 (arXiv:1605.06065, section 4.1, table 1): 5 characters of Omniglot, 10 drawings of each,
in random order and with labels that mean something else in every episode; a drawing's label is shown one step late. At
the 1st drawing of a character a learner can at best rule out the labels that it has seen: 46 % on average. What is
rising from there on was learned within the episode.

MANN and Meta-RNN are trained as a trial is, on the small background sets, so on 5 of their 8 alphabets instead of the
paper's 30, and tested on two that are not among them, nor the one of meta-validation. HPO_DATA_DIR says where they are.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.learners import learner_of
from hpo.meta.learners.order import in_own_order
from hpo.meta.learners.sequential import Sequential
from hpo.meta.loop import train
from hpo.meta.tasks import Episode, Split, task_family
from hpo.meta.training import Trained
from hpo.records import Report

WAYS, INSTANCES = 5, 10
SHOWN = (1, 2, 3, 4, 5, 10)
LEARNERS: dict[str, dict[str, Any]] = {
    "MANN": {"kind": "mann", "reader_size": 128},
    "Meta-RNN": {"kind": "meta_rnn", "reader_size": 128},
}
SANTORO = {"MANN": (36.4, 82.8, 91.0, 92.6, 94.9, 98.1), "Meta-RNN": (24.4, 49.5, 55.3, 61.0, 63.6, 62.5)}


def config(learner: dict[str, Any], meta_iterations: int, seed: int) -> TrialConfig:
    """Of one training."""
    return TrialConfig.from_dict(
        {
            "objective": {},
            "tasks": {
                "kind": "omniglot",
                "alphabets": "small",
                "validation_share": 0.1,
                "ways": WAYS,
                "shots": INSTANCES,
                "queries": 1,
            },
            "model": {"hidden_size": 64},
            "learner": learner,
            "training": {
                "meta_batch": 16,
                "meta_iterations": meta_iterations,
                "eval_every": min(200, meta_iterations),
                "eval_tasks": 100,
                "outer_lr": 0.002,
                "seed": seed,
            },
        }
    )


@dataclass(frozen=True)
class Progress:
    """Prints what a training reports."""

    name: str

    def report(self, report: Report) -> None:
        """See Events."""
        loss, at = report.objective.mean, f"meta-iteration {report.meta_iteration}"
        print(f"{self.name}: {at}, query loss {loss:.3f}, {report.seconds / 60:.0f} minutes", flush=True)

    def checkpointed(self, meta_iteration: int, path: Path) -> None:
        """Nothing is told of it."""

    def interruption(self) -> Literal["prune", "stop"] | None:
        """Never."""
        return None


def instances(targets: Tensor) -> Tensor:
    """targets (tasks, examples) -> how many examples of the same class have been presented, this one included."""
    members = F.one_hot(targets)
    return (members.cumsum(dim=1) * members).sum(dim=2)


@torch.no_grad()
def accuracies(learner: Sequential, meta: Params, episodes: Sequence[Episode]) -> dict[int, tuple[float, float]]:
    """Instance -> accuracy and its standard error over episodes."""
    found: dict[int, list[float]] = {instance: [] for instance in SHOWN}
    for episode in map(in_own_order, episodes):
        right = learner.presented(meta, episode).argmax(dim=2) == episode.targets
        presented = instances(episode.targets)
        for instance, values in found.items():
            own = (right & (presented == instance)).sum(dim=1) / (presented == instance).sum(dim=1)
            values.extend(own.tolist())
    return {k: (float(np.mean(v)), float(np.std(v, ddof=1) / math.sqrt(len(v)))) for k, v in found.items()}


def measured(name: str, meta_iterations: int, seed: int, tasks: int, checkpoints: Path | None) -> dict[str, Any]:
    """Of one learner, trained and tested."""
    trial = config(LEARNERS[name], meta_iterations, seed)
    directory = checkpoints and checkpoints / f"{name}-{seed}"
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
    ended = train(trial, "cpu", directory, Progress(name), threads=1)
    assert isinstance(ended, Trained)
    family = task_family(trial.tasks)
    learner = learner_of(trial, family)
    assert isinstance(learner, Sequential)
    support = family.sample(Split.TEST, tasks, np.random.default_rng([seed, 1])).support
    found = accuracies(learner, ended.meta, support.chunk(math.ceil(tasks / 25)))
    return {"accuracy": found, "meta_iterations": ended.outcome.meta_iterations, "seconds": ended.outcome.seconds}


def table(results: dict[str, dict[str, Any]]) -> str:
    """In percent, beside the paper's."""
    lines = [f"| accuracy at instance | {' | '.join(map(str, SHOWN))} |", f"|---{'|---' * len(SHOWN)}|"]
    for name, result in results.items():
        cells = [f"{100 * mean:.1f} ± {100 * sem:.1f}" for mean, sem in result["accuracy"].values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append(f"| {name}, Santoro et al. | {' | '.join(map(str, SANTORO[name]))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learner", choices=LEARNERS, action="append", help="default: both")
    parser.add_argument("--iterations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tasks", type=int, default=400, help="meta-test episodes")
    parser.add_argument("--checkpoints", type=Path, help="a folder: a run that was stopped goes on from there")
    parser.add_argument("--json", type=Path, help="a file to write the results to")
    arguments = parser.parse_args()
    results = {
        name: measured(name, arguments.iterations, arguments.seed, arguments.tasks, arguments.checkpoints)
        for name in arguments.learner or LEARNERS
    }
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
