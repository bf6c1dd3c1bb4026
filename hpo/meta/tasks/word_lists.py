"""wordfreq's word lists as arrays of tokens: read once a process, kept in a cache file between processes.

Tokens: 0 padding, 1 space, 2..27 the letters a..z. Diacritics are taken off ("château" is "chateau", "straße" is
"strasse"): a test language then has no token that was never trained on, and no single letter gives a language away.

A word counts for a language if it has 4 to 14 letters and is _OWN times as frequent there as in any other of the 27
languages. Loanwords, names and the many words that twins share say nothing about the language, and no learner could
place them: without this rule the bigram baseline (see language_id.py, 5 shots of 3 words) falls from 66 / 62 / 64% to
53 / 46 / 54% on train / validation / test. The rule also makes the lists disjoint.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpo.config.tasks import LONGEST_WORD
from hpo.errors import MissingExtra
from hpo.meta.tasks.cache import cache_folder, read_arrays, write_arrays
from hpo.meta.tasks.languages import CODES

VOCABULARY = 28
SPACE = 1
_FIRST_LETTER = 2
_SHORTEST, _LONGEST = 4, LONGEST_WORD  # letters
_OWN = 10.0
_MOST = 4000  # words a language, the most frequent first; 26 of the languages have as many
_DOTLESS_I = "\N{LATIN SMALL LETTER DOTLESS I}"
_SPELLED = str.maketrans(
    {"ø": "o", "đ": "d", "ł": "l", "ß": "ss", "æ": "ae", _DOTLESS_I: "i", "þ": "th", "ð": "d", "œ": "oe"}
)


@dataclass(frozen=True)
class WordLists:
    """Every language's words, in the order of languages.CODES.

    letters  (languages, words, 1 + 14) uint8: a space, then the word's letters, then padding
    counts   (languages,) int64: how many of the ``words`` rows are used
    """

    letters: NDArray[np.uint8]
    counts: NDArray[np.int64]


@functools.cache
def word_lists() -> WordLists:
    """The lists, from the cache file if there is one (milliseconds), else from wordfreq (2-5 s).

    Raises MissingExtra where wordfreq is not installed.
    """
    path = cache_file()
    lists = _read(path) if path else None
    if lists is None:
        lists = _build()
        if path:
            write_arrays(path, letters=lists.letters, counts=lists.counts)
    return lists


def cache_file() -> Path | None:
    """Where the lists are kept: named by wordfreq's version and by the rules of this module; None without a home."""
    folder = cache_folder()
    if folder is None:
        return None
    rules = hashlib.sha256(Path(__file__).read_bytes() + repr(CODES).encode()).hexdigest()[:12]
    return folder / f"words-{_wordfreq_version()}-{rules}.npz"


def _wordfreq_version() -> str:
    try:
        return version("wordfreq")
    except PackageNotFoundError as error:
        raise _missing() from error


def _missing() -> MissingExtra:
    return MissingExtra("wordfreq", "text", "tasks.kind: language_id")


def _read(path: Path) -> WordLists | None:
    """None where there is no such file or it is damaged: it is then made anew."""
    arrays = read_arrays(path)
    if arrays is None or not {"letters", "counts"} <= arrays.keys():
        return None
    lists = WordLists(arrays["letters"], arrays["counts"])
    valid = (
        lists.letters.shape == (len(CODES), _MOST, 1 + _LONGEST)
        and lists.letters.dtype == np.uint8
        and lists.counts.shape == (len(CODES),)
        and lists.counts.dtype == np.int64
    )
    return lists if valid else None


def _build() -> WordLists:
    frequencies = [_frequencies(code) for code in CODES]
    letters = np.zeros((len(CODES), _MOST, 1 + _LONGEST), np.uint8)
    counts = np.zeros(len(CODES), np.int64)
    for language, words in enumerate(_own_words(frequencies)):
        letters[language, : len(words)] = _encode(words)
        counts[language] = len(words)
    return WordLists(letters, counts)


def _frequencies(code: str) -> dict[str, float]:
    """Usable words without diacritics -> how often they occur in running text."""
    try:
        from wordfreq import get_frequency_dict  # here, as it is an optional extra
    except ImportError as error:
        raise _missing() from error
    total: dict[str, float] = {}
    for word, frequency in get_frequency_dict(code, wordlist="small").items():
        plain = _plain(word)
        if word.isalpha() and plain.isascii() and plain.islower() and _SHORTEST <= len(plain) <= _LONGEST:
            total[plain] = total.get(plain, 0.0) + frequency
    return total


def tokens_of(text: str) -> NDArray[np.uint8]:
    """(letters,) tokens of any text: what is no letter from a to z, with or without diacritics, parts words."""
    plain = _plain(text.lower())
    words = "".join(character if character.isascii() and character.isalpha() else " " for character in plain).split()
    encoded = np.frombuffer(" ".join(words).encode("ascii"), np.uint8)
    return np.where(encoded == ord(" "), SPACE, encoded - (ord("a") - _FIRST_LETTER)).astype(np.uint8)


def _plain(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.translate(_SPELLED))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _own_words(frequencies: list[dict[str, float]]) -> list[list[str]]:
    """Each language's most frequent words that are its own, the most frequent first."""
    ranked: dict[str, list[float]] = {}
    for language in frequencies:
        for word, frequency in language.items():
            ranked.setdefault(word, []).append(frequency)
    rarest = {word: _OWN * sum(sorted(of)[-2:-1]) for word, of in ranked.items()}  # 0 for a word of one language
    own = ([word for word, f in language.items() if f >= rarest[word]] for language in frequencies)
    return [
        sorted(words, key=lambda word: (-language[word], word))[:_MOST]
        for words, language in zip(own, frequencies, strict=True)
    ]


def _encode(words: list[str]) -> NDArray[np.uint8]:
    """Shape (words, 1 + 14)."""
    characters = np.array([word.encode("ascii") for word in words], f"S{_LONGEST}")
    codes = characters.view(np.uint8).reshape(len(words), _LONGEST)  # 0 after a word's end
    letters = np.where(codes > 0, codes - (ord("a") - _FIRST_LETTER), 0)
    return np.concatenate([np.full((len(words), 1), SPACE), letters], axis=1).astype(np.uint8)
