"""Few-shot text classification on a user's file: topics, intents, sentiment by product.

A task is ``ways`` classes of a split in random order. ``split_by: label``: the splits have labels of their own, and a
task mixes those of its split. ``split_by: domain``: the splits have domains of their own, with the same labels or with
others; a task is ``ways`` labels of one domain, so that sentiment is learned on some products and adapted to another.

Tokens are told apart that meta-training has (tokens.py); all others are one token, unknown. So nothing of what is held
out is known before it is adapted to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpo.config.tasks import TextConfig
from hpo.meta.tasks.base import Classes, Episode, Split, TaskBatch, TaskFamily, Tokens
from hpo.meta.tasks.class_episode import class_episode
from hpo.meta.tasks.draw import draw_distinct, large_enough
from hpo.meta.tasks.text_corpus import Corpus, read_corpus
from hpo.meta.tasks.tokens import Vocabulary

_Integers = NDArray[np.int64]


class Text(TaskFamily):
    """Inputs (tasks, examples, time) tokens, targets (tasks, examples) classes; ``time`` is that of the longest."""

    Config = TextConfig
    config: TextConfig

    def __init__(self, config: TextConfig) -> None:
        """Reads the file; InputError, with row and column, where it is bad or holds too little."""
        super().__init__(config)
        self.corpus = read_corpus(config)
        number = {name: i for i, name in enumerate(self.corpus.classes)}
        groups = {split: [[number[name] for name in group] for group in of] for split, of in self.corpus.groups.items()}
        self._groups = large_enough(groups, config.ways)
        self.vocabulary = Vocabulary.of(_trained_on(self.corpus), config.level, config.vocabulary)
        self._counts, self._first = _extents([len(texts) for texts in self.corpus.classes.values()])
        encoded = [
            self.vocabulary.encode(text, config.max_length) for texts in self.corpus.classes.values() for text in texts
        ]
        self._lengths, self._begins = _extents([len(tokens) for tokens in encoded])
        self._tokens = np.concatenate([*encoded, np.zeros(config.max_length, np.int32)])  # room behind the last text

    @property
    def input(self) -> Tokens:
        """Padding, unknown, and what meta-training has."""
        return Tokens(len(self.vocabulary))

    @property
    def output(self) -> Classes:
        """One class a label of the task."""
        return Classes(self.config.ways)

    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        """``tasks`` tasks with ``shots`` support and ``queries`` query texts a class, none twice."""
        config = self.config
        classes = self._groups[split].draw(tasks, config.ways, rng)  # (tasks, ways)
        drawn = draw_distinct(self._counts[classes], config.shots + config.queries, rng)
        texts = self._first[classes][..., None] + drawn  # (tasks, ways, examples)
        support, query = np.split(texts, [config.shots], axis=2)
        return TaskBatch(self._episode(support), self._episode(query))

    def _episode(self, texts: _Integers) -> Episode:
        lengths = self._lengths[texts]
        step = np.arange(lengths.max())
        tokens = self._tokens[self._begins[texts][..., None] + step]
        return class_episode(np.where(step < lengths[..., None], tokens, 0), lengths)


def _trained_on(corpus: Corpus) -> list[str]:
    return [text for group in corpus.groups[Split.TRAIN] for name in group for text in corpus.classes[name]]


def _extents(sizes: list[int]) -> tuple[_Integers, _Integers]:
    """Of parts that lie one after the other: the sizes, and where each begins."""
    each = np.array(sizes)
    return each, each.cumsum() - each
