"""What ``objective: {inner_steps: best}`` gains, and how optimistic it is: ``python -m tests.bench.samplers.steps``.

Of the recorded trainings (record.py), after their last rung: the number of inner steps is chosen on one half of the
validation tasks and the loss after it measured on the other half, over many halvings and both ways.

    gain      loss after the trained number of steps - loss after the chosen one, both on the other half
    optimism  loss after the chosen number on the other half - the same on the half that it was chosen on
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hpo.config.load import load_study_config
from hpo.config.training import ObjectiveConfig
from hpo.meta.evaluate import TaskCurves, estimate
from hpo.meta.objective import best_point
from hpo.space import Space
from tests.bench.samplers.record import CONFIG, TABLE

Floats = np.ndarray[Any, np.dtype[np.float64]]


def chosen(losses: Floats) -> int | None:
    """The number of steps for losses (steps + 1, tasks), as a trial chooses it."""
    points = TaskCurves(tuple(range(len(losses))), losses, None).points()
    best = best_point((point for point in points if point.inner_step), ObjectiveConfig())
    return None if best is None else best.inner_step


def halves(tasks: int, times: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
    """Tasks to choose on and tasks to measure on."""
    for _ in range(times):
        order = rng.permutation(tasks)
        yield order[: tasks // 2], order[tasks // 2 :]
        yield order[tasks // 2 :], order[: tasks // 2]


def gain_and_optimism(losses: Floats, trained: int, times: int, rng: np.random.Generator) -> tuple[float, float]:
    """Of one training, the mean over the halvings; losses (steps + 1, tasks), finite after ``trained`` steps."""
    found = []
    for here, there in halves(losses.shape[1], times, rng):
        steps = chosen(losses[:, here])
        assert steps is not None
        on_others = losses[steps, there].mean()
        found.append((losses[trained, there].mean() - on_others, on_others - losses[steps, here].mean()))
    gain, optimism = np.mean(found, axis=0)
    return float(gain), float(optimism)


def figures(losses: Floats, trained: Sequence[int], times: int) -> dict[str, float]:
    """Of trainings (n, steps + 1, tasks); the best fifth is that by the loss after the trained number of steps."""
    rng = np.random.default_rng(0)
    rows = []
    for one, steps in zip(losses, trained, strict=True):
        if np.isfinite(one[steps]).all():
            whole = estimate(one[steps])
            more = np.sign((chosen(one) or 0) - steps)
            rows.append((whole.mean, whole.sem, more, *gain_and_optimism(one, steps, times, rng)))
    table = np.array(rows)
    fifth = table[table[:, 0] <= np.quantile(table[:, 0], 0.2)]
    return {
        "trainings": len(table),
        "share that is best after more steps": float((table[:, 2] > 0).mean()),
        "share that is best after fewer steps": float((table[:, 2] < 0).mean()),
        "median gain": float(np.median(table[:, 3])),
        "median optimism": float(np.median(table[:, 4])),
        "gain in the best fifth": float(fifth[:, 3].mean()),
        "optimism in the best fifth": float(fifth[:, 4].mean()),
        "standard error in the best fifth": float(fifth[:, 1].mean()),
    }


def main() -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.samplers.steps", description=__doc__.split("\n\n")[0])
    parser.add_argument("--halvings", type=int, default=50)
    options = parser.parse_args()
    config = load_study_config(CONFIG)
    space = Space.from_search(config.search, config.fixed_values())
    with np.load(TABLE) as found:
        points, losses = found["points"], found["losses"][:, -1].astype(float)
    trained = [config.trial_config(space.decode(point)).learner.inner_steps for point in points]  # type: ignore[attr-defined]
    print(json.dumps(figures(losses, trained, options.halvings), indent=1))


if __name__ == "__main__":
    main()
