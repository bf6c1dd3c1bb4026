"""Few-shot language identification: name the language of a few words.

A task is ``ways`` languages of a split in random order; an example is ``words`` words of one language, spelled with
spaces between them. No word occurs twice in a task, so nothing can be answered by recalling a word: only what the
letters of a language look like carries over from support to query.

Words are drawn uniformly from a language's 4,000 most frequent ones, not by frequency: by frequency most draws are the
same few dozen function words, which can be learned by heart in meta-training.

What a bigram-centroid classifier identifies (square roots of letter-bigram counts, L2-normed; nearest class mean of the
support set; no meta-training; tests/meta/tasks/test_language_id.py), in %, 5 ways, 400 tasks, standard errors 0.3-0.5;
chance is 20:

    shots x words    5 x 1    5 x 3    5 x 5    1 x 3    20 x 3
    train             37.8     66.1     83.5     44.5      81.7
    validation        36.6     61.9     75.1     43.8      75.9
    test              37.4     63.9     79.5     44.6      77.6
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpo.config.tasks import LanguageIdConfig
from hpo.errors import InputError
from hpo.meta.tasks.base import Classes, Episode, Split, TaskBatch, TaskFamily, Tokens
from hpo.meta.tasks.draw import draw_distinct
from hpo.meta.tasks.languages import CODES, codes
from hpo.meta.tasks.word_lists import VOCABULARY, WordLists, word_lists


class LanguageId(TaskFamily):
    """Inputs (tasks, examples, time) tokens as in word_lists.py, targets (tasks, examples) languages.

    ``time`` is that of the longest example; examples are ordered by class. The splits share no language (languages.py).
    """

    Config = LanguageIdConfig
    config: LanguageIdConfig
    input = Tokens(VOCABULARY)

    def __init__(self, config: LanguageIdConfig) -> None:
        """Reads the word lists; MissingExtra without wordfreq, InputError where a task needs too many words."""
        super().__init__(config)
        self.lists = word_lists()
        _check_enough_words(config, self.lists)

    @property
    def output(self) -> Classes:
        """One class a language of the task."""
        return Classes(self.config.ways)

    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        """``tasks`` tasks with ``shots`` support and ``queries`` query examples a language."""
        config = self.config
        examples = config.shots + config.queries
        languages = _choose_languages(split, tasks, config.ways, rng)  # (tasks, ways)
        words = draw_distinct(self.lists.counts[languages], examples * config.words, rng)  # (tasks, ways, words)
        letters = self.lists.letters[languages[..., None], words]  # (tasks, ways, words, 1 + 14)
        letters = letters.reshape(tasks, config.ways, examples, -1)
        return TaskBatch(_episode(letters[:, :, : config.shots]), _episode(letters[:, :, config.shots :]))


def _choose_languages(split: Split, tasks: int, ways: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices into CODES (tasks, ways), none twice in a task; the order is random and gives the classes."""
    candidates = np.array([CODES.index(code) for code in codes(split)])
    return candidates[rng.random((tasks, len(candidates))).argsort(axis=1)[:, :ways]]


def _episode(letters: NDArray[np.uint8]) -> Episode:
    """Joins the words of every example, letters (tasks, ways, examples, words * (1 + 14)) with padding in between."""
    tasks, ways, examples, slots = letters.shape
    letters = letters.reshape(tasks, ways * examples, slots)
    present = letters > 0
    lengths = present.sum(axis=-1)  # (tasks, ways * examples), with the space before the first word
    inputs = np.zeros((*lengths.shape, lengths.max()), np.uint8)
    inputs[np.arange(inputs.shape[-1]) < lengths[..., None]] = letters[present]  # both row by row, so rows stay rows
    targets = np.broadcast_to(np.repeat(np.arange(ways), examples), lengths.shape)
    return Episode.of(inputs[..., 1:], targets, lengths - 1)


def _check_enough_words(config: LanguageIdConfig, lists: WordLists) -> None:
    needed = (config.shots + config.queries) * config.words
    allowed = int(lists.counts.min()) // 2
    if needed > allowed:
        raise InputError(
            f"tasks: found (shots + queries) * words = ({config.shots} + {config.queries}) * {config.words} = {needed}"
            f" words a language, expected at most {allowed}: half the smallest word list"
        )
