"""Few-shot regression of a sine wave, as sequences.

Finn et al. 2017 (MAML, section 5.1): a task is a wave  y(x) = A sin(x - phi),  A in [0.1, 5.0], phi in [0, pi], x in
[-5, 5]. Here x is not given as a number: the network reads ``window`` samples of the unit wave sin(x), ``spacing``
apart, starting at x in [-5, 5], and answers with the task's wave ``horizon`` samples after the last one.

The window is of the unit wave on purpose. All waves have the same frequency, so of a window of the task's own wave a
later value is one and the same linear function for every A and phi (y[t + 1] = 2 cos(spacing) y[t] - y[t - 1]): nothing
would be left to adapt to. Read from the unit wave, the position is known and A and phi are known from the support set
alone; two examples determine them. x is no second feature: it would make the recurrence superfluous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpo.config.tasks import SinusoidConfig
from hpo.meta.tasks.base import Episode, Features, Split, TaskBatch, TaskFamily, Values

_Reals = NDArray[np.float64]

_AMPLITUDES = (0.1, 5.0)
_PHASES = (0.0, np.pi)
_POSITIONS = (-5.0, 5.0)


class Sinusoid(TaskFamily):
    """Inputs (tasks, examples, window, 1), targets (tasks, examples, 1); see the module for what they are.

    All splits draw from the same ranges, as in the paper, but from streams of their own: the same generator gives
    different tasks in different splits.
    """

    Config = SinusoidConfig
    config: SinusoidConfig
    input = Features(1)
    output = Values(1)

    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        """``tasks`` waves with ``shots`` support and ``queries`` query windows each."""
        stream = np.random.default_rng([list(Split).index(split), int(rng.integers(2**63))])
        amplitude = stream.uniform(*_AMPLITUDES, (tasks, 1))  # (tasks, 1)
        phase = stream.uniform(*_PHASES, (tasks, 1))  # (tasks, 1)
        start = stream.uniform(*_POSITIONS, (tasks, self.config.shots + self.config.queries))  # (tasks, examples)
        support, query = np.split(start, [self.config.shots], axis=1)
        return TaskBatch(self._episode(amplitude, phase, support), self._episode(amplitude, phase, query))

    def _episode(self, amplitude: _Reals, phase: _Reals, start: _Reals) -> Episode:
        window, spacing = self.config.window, self.config.spacing
        position = start[:, :, None] + spacing * np.arange(window)  # (tasks, examples, window)
        asked = start + spacing * (window - 1 + self.config.horizon)  # (tasks, examples)
        return Episode.of(np.sin(position)[..., None], (amplitude * np.sin(asked - phase))[..., None])
