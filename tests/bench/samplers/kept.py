"""Plays kept in a file, one JSON object a line: a run that was interrupted goes on, and what did not change stays.

A kept play is not played again: after a change of a contender or a problem its lines are to be deleted.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from tests.bench.samplers.play import Play

Setting = tuple[str, str, int, int]  # contender, problem, seed, evaluations


class Kept:
    """``path``: None keeps nothing. A line that is no play is passed over."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._plays = {setting(play): play for play in _read(path)} if path is not None and path.exists() else {}

    def get(self, wanted: Setting) -> Play | None:
        """The play, if it was kept."""
        return self._plays.get(wanted)

    def add(self, play: Play) -> None:
        """Appended at once, in a line of its own even where the last one was cut short."""
        if self._path is not None and setting(play) not in self._plays:
            with self._path.open("a") as file:
                file.write("\n" + json.dumps(dataclasses.asdict(play)))


def setting(play: Play) -> Setting:
    """What a play is kept by."""
    return play.contender, play.problem, play.seed, len(play.regret)


def _read(path: Path) -> Iterator[Play]:
    for line in path.read_text().splitlines():
        try:
            fields = json.loads(line)
        except json.JSONDecodeError:
            continue
        yield Play(**fields | {name: tuple(fields[name]) for name in ("regret", "cpu")})
