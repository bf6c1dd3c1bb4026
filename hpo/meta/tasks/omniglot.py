"""Omniglot: tell handwritten characters apart, given a few drawings of each.

Lake, Salakhutdinov and Tenenbaum 2015: 1,623 characters of 50 alphabets, each drawn by 20 people. A task is ``ways``
characters; they are read row by row (omniglot_images.py) or along the pen's way (omniglot_strokes.py). With
``rotations`` a character turned by a quarter is another class, as in Santoro et al. 2016 (section 4.1) and Vinyals et
al. 2016, so there are four times as many.

The splits share no alphabet (divide.py); of ``alphabets: full`` the 20 of the evaluation set are the meta-test split,
as their authors want it. With ``within_alphabet`` a task's characters are of one alphabet, drawn uniformly from those
that have at least ``ways``, and all turned alike: what the official one-shot runs (omniglot_runs.py) ask.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.config.tasks import OmniglotConfig
from hpo.errors import InputError
from hpo.meta.tasks import omniglot_images, omniglot_strokes
from hpo.meta.tasks.base import Classes, Episode, Features, Split, TaskBatch, TaskFamily
from hpo.meta.tasks.class_episode import class_episode
from hpo.meta.tasks.divide import divide
from hpo.meta.tasks.draw import draw_distinct, large_enough
from hpo.meta.tasks.omniglot_drawings import DRAWERS, Drawings, drawings

_Integers = NDArray[np.int64]

_TURNS = 4


class Omniglot(TaskFamily):
    """Inputs (tasks, examples, 28, 28) or (tasks, examples, time, 3), targets (tasks, examples) characters."""

    Config = OmniglotConfig
    config: OmniglotConfig

    def __init__(self, config: OmniglotConfig) -> None:
        """Reads or downloads the drawings; InputError where that fails, or where a task needs more than there are."""
        super().__init__(config)
        _check_enough_drawings(config)
        self.drawings = drawings(config.input, config.alphabets)
        self.alphabets = _divided(self.drawings, config)
        self._groups = large_enough({split: self._class_groups(split) for split in Split}, config.ways)

    @property
    def input(self) -> Features:
        """A row of pixels, or a step of the pen."""
        return Features(self.drawings.steps.shape[-1])

    @property
    def output(self) -> Classes:
        """One class a character of the task."""
        return Classes(self.config.ways)

    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        """``tasks`` tasks with ``shots`` support and ``queries`` query drawings a character, none twice."""
        config = self.config
        character, turn = np.divmod(self._groups[split].draw(tasks, config.ways, rng), _TURNS)  # (tasks, ways)
        drawers = draw_distinct(np.full(character.shape, DRAWERS), config.shots + config.queries, rng)
        support, query = np.split(drawers, [config.shots], axis=2)  # (tasks, ways, examples)
        return TaskBatch(self._episode(character, turn, support), self._episode(character, turn, query))

    def _episode(self, character: _Integers, turn: _Integers, drawer: _Integers) -> Episode:
        chosen = (character[..., None], drawer)
        lengths = self.drawings.lengths[chosen]
        steps = self.drawings.steps[:, :, : lengths.max()][chosen]  # (tasks, ways, examples, time, features)
        return class_episode(self._turned(steps, turn), lengths)

    def _turned(self, steps: NDArray[Any], turns: _Integers) -> NDArray[np.float32]:
        if self.config.input == "rows":
            return omniglot_images.turned(steps, turns) * np.float32(1 / 255)
        return omniglot_strokes.turned(steps, turns)

    def _class_groups(self, split: Split) -> list[list[int]]:
        """Classes that one task may hold together; a class is 4 * character + turn."""
        groups = [
            [_TURNS * character + turn for character in characters]
            for characters in map(self._characters, self.alphabets[split])
            for turn in range(_TURNS if self.config.rotations else 1)
        ]
        return groups if self.config.within_alphabet else [list(chain.from_iterable(groups))]

    def _characters(self, alphabet: str) -> list[int]:
        return [i for i, name in enumerate(self.drawings.names) if _alphabet(name) == alphabet]


def _alphabet(name: str) -> str:
    return name.partition("/")[0]


def _divided(found: Drawings, config: OmniglotConfig) -> dict[Split, list[str]]:
    """The alphabets of every split."""
    parts = divide(map(_alphabet, found.names[~found.tested]), config, "alphabets")
    if not found.tested.any():
        return parts
    tested = sorted({_alphabet(name) for name in found.names[found.tested]})
    return {**parts, Split.TRAIN: parts[Split.TRAIN] + parts[Split.TEST], Split.TEST: tested}


def _check_enough_drawings(config: OmniglotConfig) -> None:
    if (needed := config.shots + config.queries) > DRAWERS:
        raise InputError(
            f"tasks: found shots + queries = {config.shots} + {config.queries} = {needed}, expected at most {DRAWERS}:"
            " so many drew each character"
        )
