"""Texts as tokens."""

from __future__ import annotations

import pytest

from hpo.meta.tasks.tokens import UNKNOWN, Vocabulary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't  stop!", ["don", "'", "t", "stop", "!"]),
        ("STRASSE Stra\N{LATIN SMALL LETTER SHARP S}e", ["strasse", "strasse"]),
        ("cafe\u0301 caf\N{LATIN SMALL LETTER E WITH ACUTE}", ["caf\N{LATIN SMALL LETTER E WITH ACUTE}"] * 2),
        ("\u0939\u093f\u0928\u094d\u0926\u0940 x", ["\u0939\u093f\u0928\u094d\u0926\u0940", "x"]),  # Hindi
        ("3.5 e_mail", ["3", ".", "5", "e_mail"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    """A token is known by its code: that of a vocabulary of it alone."""
    found = Vocabulary.of([text], "word", 99)
    assert len(found) == 2 + len(set(expected))
    assert found.encode(text, 99).tolist() == found.encode(" ".join(expected), 99).tolist()
    assert len(found.encode(text, 99)) == len(expected)


def test_characters() -> None:
    vocabulary = Vocabulary.of(["aab"], "character", 99)
    assert vocabulary.encode(" A\n\tbz ", 99).tolist() == [2, UNKNOWN, 3, UNKNOWN]  # spaces are one, and not known here


def test_the_most_frequent_are_kept_and_all_others_are_one() -> None:
    vocabulary = Vocabulary.of(["b a c", "c b", "c d"], "word", 2)
    assert len(vocabulary) == 4
    assert vocabulary.encode("c b a d e", 99).tolist() == [2, 3, UNKNOWN, UNKNOWN, UNKNOWN]


def test_of_equally_frequent_ones_the_order_of_the_texts_does_not_matter() -> None:
    assert [Vocabulary.of(texts, "word", 2).encode("x y z", 9).tolist() for texts in (["z y x"], ["y", "x", "z"])] == [
        [2, 3, UNKNOWN]
    ] * 2


def test_a_long_text_is_cut() -> None:
    vocabulary = Vocabulary.of(["a b c"], "word", 9)
    assert vocabulary.encode("a b c", 2).tolist() == [2, 3]
