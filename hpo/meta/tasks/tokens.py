"""Texts as tokens: 0 padding, 1 unknown, then the most frequent words or characters of meta-training.

A word is a run of letters, digits and combining marks; what else is no space is a token by itself. Case is folded.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 1
_FIRST = 2


class Vocabulary:
    """Tokens that are told apart, by their codes; as ``level`` says, a token is a word or a character."""

    def __init__(self, tokens: Sequence[str], level: str) -> None:
        self.tokens = tuple(tokens)
        self._split = _LEVELS[level]
        self._codes = {token: code for code, token in enumerate(tokens, _FIRST)}

    @classmethod
    def of(cls, texts: Iterable[str], level: str, most: int) -> Self:
        """The ``most`` most frequent tokens of some texts."""
        counts = Counter(token for text in texts for token in _LEVELS[level](text))
        return cls(sorted(counts, key=lambda token: (-counts[token], token))[:most], level)

    def __len__(self) -> int:
        """Padding and unknown tokens included."""
        return _FIRST + len(self._codes)

    def encode(self, text: str, most: int) -> NDArray[np.int32]:
        """The first ``most`` tokens; at least one of a text that is more than spaces."""
        return np.array([self._codes.get(token, UNKNOWN) for token in self._split(text)[:most]], np.int32)


def _words(text: str) -> list[str]:
    return _word().findall(_folded(text))


def _characters(text: str) -> list[str]:
    return list(" ".join(_folded(text).split()))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


@functools.cache
def _word() -> re.Pattern[str]:
    """Python's own ``\\w`` has no combining marks, and would cut Hindi or Tamil words at their vowels."""
    characters = map(chr, range(sys.maxunicode + 1))
    marks = "".join(character for character in characters if unicodedata.category(character)[0] == "M")
    return re.compile(rf"\w+(?:[{marks}]+\w*)*|\S")  # 1.7 times as fast as [\w{marks}]+


_LEVELS: dict[str, Callable[[str], list[str]]] = {"word": _words, "character": _characters}
