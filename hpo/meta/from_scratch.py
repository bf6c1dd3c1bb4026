"""What meta-learning is compared with: the same network, trained on each support set alone from a fresh start.

Adam (its usual step size for such networks) on all parameters, each task for itself. After how many steps it is judged
is chosen among STEPS on the meta-validation tasks, as what hpo tunes is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpo.config.training import TrainingConfig
from hpo.meta.cells import Params
from hpo.meta.evaluate import TASKS_AT_ONCE, TaskCurves
from hpo.meta.gradients import episode_loss, gradient_way
from hpo.meta.network import Metrics, Network
from hpo.meta.outer import Outer
from hpo.meta.tasks.base import TaskBatch

STEPS = (10, 30, 100)
_ADAM = TrainingConfig(outer_lr=0.01, clip_norm=1e30)  # each task's own gradient is not to be scaled by the others'


def scratch_curves(network: Network, initial: Params, batch: TaskBatch, steps: Sequence[int] = STEPS) -> TaskCurves:
    """Metrics of the query sets after each number of steps on the support sets, all from ``initial``."""
    parts = [_part(network, initial, part, steps) for part in batch.chunk(-(-batch.tasks // TASKS_AT_ONCE))]
    return TaskCurves.join(tuple(steps), parts)


def best_scratch_curve(network: Network, initial: Params, validation: TaskBatch, test: TaskBatch) -> TaskCurves:
    """On the test tasks, after the one number of steps that is best on the others."""
    return scratch_curves(network, initial, test, [best_steps(scratch_curves(network, initial, validation))])


def best_steps(curves: TaskCurves) -> int:
    """After how many of its steps the mean loss is lowest."""
    return curves.steps[int(np.argmin(curves.loss.mean(axis=1)))]


def _part(network: Network, initial: Params, part: TaskBatch, steps: Sequence[int]) -> list[Metrics]:
    way = gradient_way(network, part.support)
    support, query = episode_loss(network, part.support, way), episode_loss(network, part.query, way)
    own = {name: tensor.expand(part.tasks, *tensor.shape).clone() for name, tensor in initial.items()}
    optimizer, found = Outer(own, _ADAM), []
    for step in range(1, max(steps) + 1):
        optimizer.step(support.slope(own, own.keys(), keep=False).gradient)
        if step in steps:
            found.append(network.metrics(query.predict(own), part.query.targets))
    return found
