"""Few-shot forecasting of a user's time series: one series a task.

A task is a series of the split and a moment in it, both drawn uniformly (the moment where both sides are long enough).
Support windows and the values to predict from them lie before the moment, query windows and theirs behind it: nothing
that is adapted to is later than what is asked. An example is ``window`` values, and the ``horizon`` values after them.

All values of a task are standardized by the mean and standard deviation of the series before its moment, so of nothing
that a forecast could not know. Where all of these are equal, their absolute value is in the place of the deviation, or
1 if they are 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpo.config.tasks import SeriesConfig
from hpo.meta.tasks.base import Episode, Features, Split, TaskBatch, TaskFamily, Values
from hpo.meta.tasks.divide import divide
from hpo.meta.tasks.draw import draw_distinct
from hpo.meta.tasks.series_table import read_series

_Integers = NDArray[np.int64]
_Reals = NDArray[np.float64]


class Series(TaskFamily):
    """Inputs (tasks, examples, window, 1), targets (tasks, examples, horizon); see the module for what they are."""

    Config = SeriesConfig
    config: SeriesConfig
    input = Features(1)

    def __init__(self, config: SeriesConfig) -> None:
        """Reads the file; InputError, with row and column, where it is bad or holds too little."""
        super().__init__(config)
        self.series = read_series(config)
        self.names = divide(self.series, config, f"series in {config.file}")

    @property
    def output(self) -> Values:
        """All values of the horizon."""
        return Values(self.config.horizon)

    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        """``tasks`` series and moments, with ``shots`` windows before and ``queries`` windows behind each."""
        config, span = self.config, self.config.window + self.config.horizon
        series = [self.series[self.names[split][i]] for i in rng.integers(len(self.names[split]), size=tasks)]
        ends = np.array([len(values) for values in series])
        moments = rng.integers(span + config.shots - 1, ends - (span + config.queries - 1), endpoint=True)
        support = draw_distinct(moments - span + 1, config.shots, rng)  # (tasks, shots): where windows begin
        query = moments[:, None] + draw_distinct(ends - moments - span + 1, config.queries, rng)
        past = [values[:moment] for values, moment in zip(series, moments, strict=True)]
        mean, deviation = np.array([scale(values) for values in past]).T[..., None, None]  # (tasks, 1, 1) each
        return TaskBatch(*(self._episode((_windows(series, of, span) - mean) / deviation) for of in (support, query)))

    def _episode(self, examples: _Reals) -> Episode:
        """examples (tasks, examples, window + horizon)"""
        inputs, targets = np.split(examples, [self.config.window], axis=2)
        return Episode.of(inputs[..., None], targets)


def _windows(series: list[_Reals], begins: _Integers, span: int) -> _Reals:
    """(tasks, examples, span) from a series a task and begins (tasks, examples)."""
    at = begins[..., None] + np.arange(span)
    return np.stack([values[windows] for values, windows in zip(series, at, strict=True)])


def scale(past: _Reals) -> tuple[float, float]:
    """What is taken off, and what it is then divided by."""
    constant = np.ptp(past) == 0.0
    return float(past.mean()), float(abs(past[0]) or 1.0) if constant else float(past.std())
