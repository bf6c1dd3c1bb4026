"""Language identification on the real word lists."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpo.config.tasks import LanguageIdConfig
from hpo.errors import InputError
from hpo.meta.tasks import Episode, Split, TaskBatch, TaskFamily, check, task_family
from hpo.meta.tasks.draw import draw_distinct
from hpo.meta.tasks.languages import CODES, LANGUAGES, codes
from hpo.meta.tasks.word_lists import SPACE, VOCABULARY, word_lists

needs_words = pytest.mark.usefixtures("_words")


@pytest.fixture
def _words() -> None:
    pytest.importorskip("wordfreq")


def family(**options: int) -> TaskFamily:
    return task_family(LanguageIdConfig(kind="language_id", **options))


def words_of(episode: Episode) -> list[list[list[bytes]]]:
    """The words of every example of every task, as bytes of tokens."""
    inputs, lengths = episode.inputs.numpy().astype(np.uint8), episode.lengths.numpy()
    return [
        [row[:length].tobytes().split(bytes([SPACE])) for row, length in zip(*task, strict=True)]
        for task in zip(inputs, lengths, strict=True)
    ]


def language_of_word() -> dict[bytes, str]:
    lists = word_lists()
    return {
        row[1:].tobytes().rstrip(b"\0"): code
        for code, rows, count in zip(CODES, lists.letters, lists.counts, strict=True)
        for row in rows[:count]
    }


def bigrams(episode: Episode) -> NDArray[np.float32]:
    """Square roots of letter-bigram counts, L2-normed: (tasks, examples, VOCABULARY ** 2)."""
    tokens = np.pad(episode.inputs.numpy(), ((0, 0), (0, 0), (1, 1)))
    tokens[tokens == 0] = SPACE
    pairs = tokens[..., :-1] * VOCABULARY + tokens[..., 1:]
    counts = np.zeros((*pairs.shape[:2], VOCABULARY**2), np.float32)
    tasks, examples = np.ogrid[: pairs.shape[0], : pairs.shape[1]]
    np.add.at(counts, (tasks[..., None], examples[..., None], pairs), 1.0)
    counts[..., SPACE * VOCABULARY + SPACE] = 0.0  # the padding
    rooted = np.sqrt(counts)
    return rooted / np.linalg.norm(rooted, axis=-1, keepdims=True)  # type: ignore[no-any-return]


def centroid_accuracy(batch: TaskBatch, ways: int) -> float:
    """How often a query example is nearest to its own class's mean over the support set."""
    members = np.eye(ways, dtype=np.float32)[batch.support.targets.numpy()]  # (tasks, examples, ways)
    centroids = members.transpose(0, 2, 1) @ bigrams(batch.support)
    centroids /= np.linalg.norm(centroids, axis=-1, keepdims=True)
    nearest = (bigrams(batch.query) @ centroids.transpose(0, 2, 1)).argmax(axis=-1)
    return float((nearest == batch.query.targets.numpy()).mean())


def test_no_language_is_in_two_splits() -> None:
    assert len(set(CODES)) == len(CODES) == 27
    assert {split: len(codes(split)) for split in Split} == {Split.TRAIN: 13, Split.VALIDATION: 7, Split.TEST: 7}


@pytest.mark.parametrize("twins", ["da nb sv", "id ms", "sh sl", "cs sk pl", "es ca pt", "de nl", "lt lv"])
def test_near_twins_are_in_one_family(twins: str) -> None:
    families = {
        name for split in LANGUAGES.values() for name, members in split.items() if set(twins.split()) & set(members)
    }
    assert len(families) == 1


def test_the_config_allows_as_many_ways_as_every_split_has_languages() -> None:
    (bound,) = (m.le for m in LanguageIdConfig.model_fields["ways"].metadata if hasattr(m, "le"))
    assert bound == min(len(codes(split)) for split in Split)


options = st.fixed_dictionaries(
    {
        "ways": st.integers(2, 7),
        "shots": st.integers(1, 8),
        "queries": st.integers(1, 8),
        "words": st.integers(1, 6),
    }
)


@needs_words
@settings(max_examples=40, deadline=None)
@given(options, st.sampled_from(list(Split)), st.integers(1, 6), st.integers(0, 2**32))
def test_every_batch_keeps_its_promises(chosen: dict[str, int], split: Split, tasks: int, seed: int) -> None:
    made = family(**chosen)
    batch = check(made.sample(split, tasks, np.random.default_rng(seed)), made, tasks=tasks)
    languages = language_of_word()
    for task, (support, query) in enumerate(zip(words_of(batch.support), words_of(batch.query), strict=True)):
        seen = [word for example in support + query for word in example]
        assert len(set(seen)) == len(seen) == chosen["ways"] * (chosen["shots"] + chosen["queries"]) * chosen["words"]
        named: defaultdict[int, set[str]] = defaultdict(set)
        for examples, targets in ((support, batch.support.targets[task]), (query, batch.query.targets[task])):
            for example, target in zip(examples, targets.tolist(), strict=True):
                assert len(example) == chosen["words"]
                named[target] |= {languages[word] for word in example}
        assert sorted(named) == list(range(chosen["ways"]))
        assert all(len(found) == 1 for found in named.values())  # a class is one language
        assert len({*set.union(*named.values())}) == chosen["ways"]  # and no language is two classes
        assert set.union(*named.values()) <= set(codes(split))


@needs_words
def test_classes_are_balanced_and_time_is_that_of_the_longest() -> None:
    batch = family(ways=4, shots=3, queries=7).sample(Split.TRAIN, 20, np.random.default_rng(0))
    for episode, per_class in ((batch.support, 3), (batch.query, 7)):
        assert all(torch.bincount(task, minlength=4).tolist() == [per_class] * 4 for task in episode.targets)
        assert episode.inputs.shape[2] == int(episode.lengths.max())


@needs_words
def test_a_language_is_every_class_in_turn_and_all_languages_are_drawn_equally() -> None:
    batch = family(ways=3, shots=1, queries=1, words=1).sample(Split.VALIDATION, 2100, np.random.default_rng(0))
    languages = language_of_word()
    counts: defaultdict[tuple[str, int], int] = defaultdict(int)
    for task in words_of(batch.support):
        for target, (word,) in enumerate(task):
            counts[languages[word], target] += 1
    assert len(counts) == 7 * 3
    assert all(300 - 80 < count < 300 + 80 for count in counts.values())  # five standard deviations


@needs_words
@pytest.mark.parametrize("split", Split)
def test_the_same_generator_gives_the_same_batch(split: Split) -> None:
    first, second = (family().sample(split, 5, np.random.default_rng([7, 3])) for _ in range(2))
    assert torch.equal(first.support.inputs, second.support.inputs)
    assert torch.equal(first.query.inputs, second.query.inputs)
    other = family().sample(split, 5, np.random.default_rng([7, 4]))
    assert other.query.inputs.shape != first.query.inputs.shape or not torch.equal(
        other.query.inputs, first.query.inputs
    )


DIGEST = """
import hashlib, numpy as np
from hpo.config.tasks import LanguageIdConfig
from hpo.meta.tasks import Split, task_family
batch = task_family(LanguageIdConfig(kind="language_id")).sample(Split.TRAIN, 5, np.random.default_rng(1))
print(hashlib.sha256(batch.query.inputs.numpy().tobytes()).hexdigest())
"""


@needs_words
def test_another_process_without_cache_gives_the_same_batch(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONHASHSEED": "12345", "XDG_CACHE_HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True)
    batch = family().sample(Split.TRAIN, 5, np.random.default_rng(1))
    assert ran.stdout.strip() == hashlib.sha256(batch.query.inputs.numpy().tobytes()).hexdigest()


@needs_words
@pytest.mark.parametrize(("split", "expected"), [(Split.TRAIN, 0.661), (Split.VALIDATION, 0.619), (Split.TEST, 0.639)])
def test_a_bigram_baseline_is_far_above_chance_and_far_from_perfect(split: Split, expected: float) -> None:
    made = family(ways=5, shots=5, queries=10, words=3)
    parts = [made.sample(split, 100, np.random.default_rng([1, part])) for part in range(2)]
    accuracy = float(np.mean([centroid_accuracy(part, 5) for part in parts]))
    assert accuracy == pytest.approx(expected, abs=0.03)  # what language_id.py states; chance is 0.2


@needs_words
def test_more_shots_and_more_words_are_easier() -> None:
    def accuracy(**chosen: int) -> float:
        return centroid_accuracy(family(**chosen).sample(Split.TEST, 60, np.random.default_rng(2)), 5)

    assert 0.2 < accuracy(shots=1, words=1) < accuracy(shots=1, words=3) < accuracy(shots=5, words=3)
    assert accuracy(shots=5, words=3) < accuracy(shots=20, words=3) < 0.95


@needs_words
def test_a_task_that_needs_too_many_words_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(40 \+ 10\) \* 20 = 1000 words a language, expected at most 3\d\d"):
        family(shots=40, words=20)


@given(st.lists(st.integers(2, 50), min_size=1, max_size=6), st.data())
def test_draws_are_distinct_and_in_range(sizes: list[int], data: st.DataObject) -> None:
    draws = data.draw(st.integers(1, min(sizes) // 2))
    drawn = draw_distinct(np.array(sizes), draws, np.random.default_rng(data.draw(st.integers(0, 2**32))))
    assert drawn.shape == (len(sizes), draws)
    for row, size in zip(drawn, sizes, strict=True):
        assert len(set(row.tolist())) == draws
        assert row.min() >= 0
        assert row.max() < size


def test_every_ordered_choice_is_equally_likely() -> None:
    drawn = draw_distinct(np.full(24_000, 6), 3, np.random.default_rng(0))
    counts = np.unique(drawn @ [36, 6, 1], return_counts=True)[1]
    assert len(counts) == 6 * 5 * 4
    assert ((counts - 200.0) ** 2 / 200.0).sum() < 180.0  # chi squared, 119 degrees of freedom: exceeded once in 4,000
