"""Trains the configs of trainings.yaml and records what each reveals: ``python -m tests.bench.samplers.record``.

300 trainings at the points of one Sobol sequence take about an hour of one core. Each is kept in FOLDER as soon as it
is done, so a run that was cut off goes on where it was; when all are there, they become trainings.npz:

    points   (n, d)                    encoded params
    rungs    (r,)                      meta-iterations after which the validation tasks were evaluated
    seconds  (n, r)                    CPU seconds of the training until then; NaN from where it diverged on
    losses   (n, r, steps + 1, tasks)  query loss of each task after 0..steps inner steps, float16; NaN likewise
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from hpo.config import StudyConfig, TrialConfig
from hpo.config.load import load_study_config
from hpo.errors import Diverged
from hpo.meta.evaluate import task_curves
from hpo.meta.resources import keep_freed_memory
from hpo.meta.threads import use_threads
from hpo.meta.training import Training
from hpo.records import Report
from hpo.sampler.acqf_search import sobol
from hpo.sampler.domain import Domain
from hpo.space import Space

CONFIG = Path(__file__).with_name("trainings.yaml")
TABLE = Path(__file__).with_name("trainings.npz")
STEPS = 6  # inner steps of the curves: one more than is searched


class Silent:
    """Nobody listens."""

    def report(self, report: Report) -> None:
        """See Events."""

    def checkpointed(self, meta_iteration: int, path: Path) -> None:
        """See Events."""

    def interruption(self) -> Literal["prune", "stop"] | None:
        """See Events."""
        return None


def trained(config: TrialConfig, steps: int = STEPS) -> dict[str, np.ndarray]:
    """``seconds`` and ``losses`` of one training; see the module."""
    device = torch.device("cpu")
    use_threads(1, device)
    keep_freed_memory()
    every, tasks = config.training.eval_every, config.training.eval_tasks
    rungs = config.training.meta_iterations // every
    seconds, losses = np.full(rungs, np.nan), np.full((rungs, steps + 1, tasks), np.nan, np.float16)
    with closing(Training.of(config, device, None, Silent())) as training:
        began, learner = time.process_time(), training.trial.learner
        try:
            while training.meta_iteration < config.training.meta_iterations:
                batch = training.next_batch()
                training.step(*learner.meta_gradient(training.outer.meta, batch), batch)
                if training.meta_iteration % every:
                    continue
                rung = training.meta_iteration // every - 1
                seconds[rung] = time.process_time() - began
                losses[rung] = task_curves(learner, training.outer.meta, training.validation, range(steps + 1)).loss
                began = time.process_time() - seconds[rung]  # the curves are no part of a training
        except Diverged:
            pass
    return {"seconds": seconds, "losses": losses}


def points(config: StudyConfig) -> np.ndarray:
    """(n, d): where to train."""
    space = Space.from_search(config.search, config.fixed_values())
    domain = Domain.of(space)
    return domain.canonical(domain.snap(sobol(len(space), config.stop.trials, np.random.default_rng(0))))


def _record(config: StudyConfig, point: np.ndarray, to: Path) -> None:
    space = Space.from_search(config.search, config.fixed_values())
    found = trained(config.trial_config(space.decode(point)))
    partial = to.with_suffix(".partial.npz")
    np.savez_compressed(partial, point=point, **found)
    partial.rename(to)


def main() -> None:
    """Trains what is not in the folder yet, and writes the table when all is there."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.samplers.record", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    config = load_study_config(CONFIG)
    all_points = points(config)
    files = [options.folder / f"{number:04d}.npz" for number in range(len(all_points))]
    with ProcessPoolExecutor(options.processes) as pool:
        missing = [(point, file) for point, file in zip(all_points, files, strict=True) if not file.exists()]
        work = [pool.submit(_record, config, point, file) for point, file in missing]
        for number, future in enumerate(as_completed(work), 1):
            future.result()
            print(f"\r{number} of {len(work)} trainings", end="", file=sys.stderr, flush=True)
    _write(config, [np.load(file) for file in files])


def _write(config: StudyConfig, found: list[dict[str, np.ndarray]]) -> None:
    training = config.trial_config({}).training
    np.savez_compressed(
        TABLE,
        points=np.stack([each["point"] for each in found]),
        rungs=np.arange(training.eval_every, training.meta_iterations + 1, training.eval_every),
        seconds=np.stack([each["seconds"] for each in found]).astype(np.float32),
        losses=np.stack([each["losses"] for each in found]),
    )


if __name__ == "__main__":
    main()
