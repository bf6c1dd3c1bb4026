"""Progress on standard error: redrawn in place in a terminal, one line a change elsewhere."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import IO, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpo.cli import text
from hpo.cli.progress import Progress, counts, new_lines, standing
from hpo.cli.terminal import printable, say

SILENCE_S = 60.0  # a log that says nothing for longer looks like one of a program that hangs
BAR_WIDTH = 24


class Display(AbstractContextManager["Display"], Protocol):
    """Shows one look at the study after the other."""

    def update(self, now: Progress) -> None:
        """Shows what has changed."""

    def say(self, message: str) -> None:
        """A line that stays."""


def display(stream: IO[str] | None = None) -> Display:
    """For ``stream``, or standard error: live where it is a terminal that can move its cursor."""
    stream = stream or sys.stderr
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    return LiveDisplay(console) if console.is_terminal and not console.is_dumb_terminal else PlainDisplay(stream)


class PlainDisplay:
    """Lines for logs and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._before: Progress | None = None
        self._spoke_at_s = 0.0

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to take down."""

    def update(self, now: Progress) -> None:
        """A line for each trial that has ended, and one after a minute without any."""
        lines = new_lines(self._before, now)
        self._before = now
        if not lines and now.elapsed_s - self._spoke_at_s >= SILENCE_S:
            lines = [standing(now)]
        if lines:
            self._spoke_at_s = now.elapsed_s
        for line in lines:
            self.say(line)

    def say(self, message: str) -> None:
        """The message as it is."""
        say(message, file=self._stream)


class LiveDisplay:
    """A block at the terminal's bottom that is redrawn; ended trials scroll by above it."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._before: Progress | None = None

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, now: Progress) -> None:
        """Redraws."""
        for line in new_lines(self._before, now):
            self.say(line)
        self._before = now
        self._live.update(render(now), refresh=True)

    def say(self, message: str) -> None:
        """The message above the block."""
        self._live.console.print(Text(printable(message)))


def render(now: Progress) -> RenderableType:
    """The block: how far, what was found, how long, and a line for each running trial."""
    head = _grid(columns=4, bar=1)
    ended = ProgressBar(total=now.total, completed=len(now.ended))
    head.add_row(
        Text(printable(now.study), style="bold"), ended, Text(f"{len(now.ended)}/{now.total} trials"), Text(counts(now))
    )
    if now.to_confirm:
        again = ProgressBar(total=now.to_confirm, completed=len(now.confirmations))
        head.add_row(Text("the best again"), again, Text(f"{len(now.confirmations)}/{now.to_confirm} new seeds"))
    return Group(head, Text(_found(now)), Text(_time(now), style="dim"), _running(now))


def _grid(columns: int, bar: int) -> Table:
    """Where the terminal is narrow the bar shrinks first, then cells are cut off; a trial has one line."""
    grid = Table.grid(padding=(0, 2))
    for index in range(columns):
        if index == bar:
            grid.add_column(max_width=BAR_WIDTH)
        else:
            grid.add_column(no_wrap=True, overflow="ellipsis")
    return grid


def _found(now: Progress) -> str:
    best = now.best
    return f"best {text.of(best.objective)} (trial {best.number})" if best is not None else "no result yet"


def _time(now: Progress) -> str:
    elapsed = f"{text.duration(now.elapsed_s)} elapsed"
    if now.left == 0:
        return elapsed
    left = now.seconds_left
    forecast = f"about {text.duration(left)} left" if left is not None else "time left not known yet"
    return f"{elapsed} · {forecast} · Ctrl-C stops, the same command goes on"


def _running(now: Progress) -> Table:
    table = _grid(columns=5, bar=2)
    for trial in now.running:
        table.add_row(
            Text(trial.name),
            Text(printable(trial.where)),
            ProgressBar(total=trial.meta_iterations, completed=trial.meta_iteration),
            Text(f"{trial.meta_iteration}/{trial.meta_iterations}"),
            Text(text.of(trial.objective)),
        )
    return table
