"""Small families for tests, with sequences of different lengths; ``kind: toy_tasks:Lines`` (see conftest.py)."""

from __future__ import annotations

import numpy as np

from hpo.meta.tasks import Classes, Episode, Features, Split, TaskBatch, TaskFamily, Tokens, Values

VOCABULARY = 6


class Prevailing(TaskFamily):
    """A task has one token for each of two classes; an example holds mostly its class's token, for 1-5 steps."""

    input = Tokens(VOCABULARY)
    output = Classes(2)

    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        tokens = np.stack([rng.permutation(np.arange(1, VOCABULARY))[:2] for _ in range(tasks)])
        return TaskBatch(self._episode(tokens, self.config.shots, rng), self._episode(tokens, self.config.queries, rng))

    def _episode(self, tokens: np.ndarray, examples: int, rng: np.random.Generator) -> Episode:
        targets = np.tile(np.repeat([0, 1], examples), (len(tokens), 1))
        lengths = rng.integers(1, 6, targets.shape)
        own = np.take_along_axis(tokens, targets, axis=1)[:, :, None]
        inputs = np.where(rng.random((*targets.shape, 5)) < 0.8, own, rng.integers(1, VOCABULARY, (*targets.shape, 5)))
        return Episode.of(inputs * (np.arange(5) < lengths[..., None]), targets, lengths)


class Lines(TaskFamily):
    """A task has a slope for each of two values; an example is 1-4 steps of 3 features, the first of which counts."""

    input = Features(3)
    output = Values(2)

    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        slopes = rng.normal(size=(tasks, 1, 2))
        return TaskBatch(self._episode(slopes, self.config.shots, rng), self._episode(slopes, self.config.queries, rng))

    def _episode(self, slopes: np.ndarray, examples: int, rng: np.random.Generator) -> Episode:
        lengths = rng.integers(1, 5, (len(slopes), examples))
        inputs = rng.normal(size=(len(slopes), examples, 4, 3)) * (np.arange(4) < lengths[..., None])[..., None]
        return Episode.of(inputs, inputs[:, :, 0, :1] * slopes, lengths)
