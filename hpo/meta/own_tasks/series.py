"""A series of a user's own: its past is what is adapted to, and forecasts go on from there."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from hpo.errors import InputError
from hpo.meta.own_tasks.base import Columns, OwnTask, one_task
from hpo.meta.tasks.base import Episode
from hpo.meta.tasks.series import scale
from hpo.meta.tasks.tables import Table, require_columns
from hpo.meta.tasks.tables.cells import numbers, times
from hpo.records import Record

Reals = NDArray[np.float64]


class SeriesReader(Record):
    """Columns of times and values, of one series; the query's rows are later than the support's."""

    type: Literal["series"] = "series"
    time_column: str
    value_column: str
    window: int
    horizon: int

    def task(self, support: Table, outputs: int) -> OwnTask:
        """See OwnTask: the support set is all windows of the past; from each query row on, what follows is forecast."""
        past, until = self._read(support)
        span = self.window + self.horizon
        if len(past) < span:
            raise InputError(
                f"{support.path}: found {len(past)} values, expected at least {span}: the learner reads {self.window}"
                f" and predicts {self.horizon}"
            )
        mean, deviation = scale(past)
        known = (past - mean) / deviation
        examples = sliding_window_view(known, span)  # (examples, window + horizon)

        def query(table: Table) -> Episode:
            values, _ = self._read(table, after=until)
            all_values = np.concatenate([known, (values - mean) / deviation])
            windows = sliding_window_view(all_values, self.window)[-len(values) :]
            return one_task(windows[..., None].copy(), np.zeros((len(windows), self.horizon)))

        def answers(table: Table, predictions: Tensor) -> Columns:
            order = np.argsort(times(table, self.time_column)).argsort()  # of a row: its place in time
            found = (predictions.double().cpu().numpy() * deviation + mean)[order]
            return {f"forecast {step}": found[:, step - 1].tolist() for step in range(1, self.horizon + 1)}

        inputs, targets = np.split(examples, [self.window], axis=1)
        return OwnTask(one_task(inputs[..., None].copy(), targets.copy()), query, answers)

    def _read(self, table: Table, after: float | None = None) -> tuple[Reals, float]:
        """Values in the order of time, and the last time."""
        require_columns(table, [self.time_column, self.value_column])
        found = times(table, self.time_column)
        rows = sorted(range(len(table)), key=found.__getitem__)
        for earlier, later in pairwise(rows):
            if found[earlier] == found[later]:
                raise table.bad(later, self.time_column, f"a time that is not in {table.place(earlier)}: of one series")
        if after is not None and found[rows[0]] <= after:
            raise table.bad(rows[0], self.time_column, "a time after all of the support set's")
        values: Any = numbers(table, self.value_column)[rows]
        return values, found[rows[-1]]
