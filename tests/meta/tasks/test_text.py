"""Few-shot classification of a user's texts."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.config.tasks import TextConfig
from hpo.errors import InputError
from hpo.meta.tasks import Classes, Episode, Split, Text, Tokens, check
from tests.csv_file import write_csv

Row = tuple[str, str, str]  # text, label, domain


def rows(labels: int = 15, domains: int = 5, each: int = 8) -> list[Row]:
    """Every text says with its words which label, domain and example it is, and has a length of its own."""
    return [
        (f"l{label} d{domain} n{i}" + " more" * (i % 4), f"label{label}", f"domain{domain}")
        for label in range(labels)
        for domain in range(domains)
        for i in range(each)
    ]


def write(path: Path, found: list[Row]) -> Path:
    return write_csv(path, ("text", "label", "domain"), found)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("text") / "texts.csv", rows())


def family(file: Path, **options: Any) -> Text:
    return Text(TextConfig(kind="text", file=str(file), **{"ways": 2, "shots": 2, "queries": 3, **options}))


def texts_of(made: Text, episode: Episode) -> list[list[tuple[str, str, str]]]:
    """Domain, label and text of every example of every task, by its tokens; all tokens have to be known."""
    config = made.config
    known = {
        made.vocabulary.encode(text, config.max_length).tobytes(): (*name, text)
        for name, texts in made.corpus.classes.items()
        for text in texts
    }
    tasks = zip(episode.inputs.numpy().astype(np.int32), episode.lengths.tolist(), strict=True)
    return [
        [known[tokens[:length].tobytes()] for tokens, length in zip(inputs, lengths, strict=True)]
        for inputs, lengths in tasks
    ]


options = st.fixed_dictionaries(
    {
        "ways": st.integers(2, 3),
        "shots": st.integers(1, 4),
        "queries": st.integers(1, 4),
        "split_by": st.sampled_from(["label", "domain"]),
        "split_seed": st.integers(0, 5),
        "level": st.just("character"),  # the words of what is held out are not known
    }
)


@settings(max_examples=30, deadline=None)
@given(options, st.sampled_from(list(Split)), st.integers(1, 4), st.integers(0, 2**32))
def test_every_batch_keeps_its_promises(
    file: Path, chosen: dict[str, Any], split: Split, tasks: int, seed: int
) -> None:
    made = family(file, **chosen)
    batch = check(made.sample(split, tasks, np.random.default_rng(seed)), made, tasks=tasks)
    parts = [
        list(zip(texts_of(made, part), part.targets.tolist(), strict=True)) for part in (batch.support, batch.query)
    ]
    allowed = {name for group in made.corpus.groups[split] for name in group}
    for (support, support_targets), (query, query_targets) in zip(*parts, strict=True):
        examples = [*support, *query]
        assert len(set(examples)) == len(examples)  # support and query share none
        named: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
        for target, (domain, label, _) in zip([*support_targets, *query_targets], examples, strict=True):
            named[target].add((domain, label))
        assert sorted(named) == list(range(chosen["ways"]))
        assert all(len(found) == 1 for found in named.values())  # a class is one label
        assert len(set.union(*named.values())) == chosen["ways"]  # and no label is two classes
        assert set.union(*named.values()) <= allowed
        assert len({domain for domain, _, _ in examples}) == 1


@pytest.mark.parametrize(("split_by", "part"), [("label", 1), ("domain", 0)])
def test_splits_share_no_label_or_no_domain(file: Path, split_by: str, part: int) -> None:
    groups = family(file, split_by=split_by).corpus.groups
    found = [{name[part] for group in groups[split] for name in group} for split in Split]
    assert all(found)
    assert len(set.union(*found)) == sum(map(len, found)) == {"label": 15, "domain": 5}[split_by]


def test_what_is_held_out_adds_no_token(file: Path) -> None:
    made = family(file)
    trained = {label.replace("label", "l") for group in made.corpus.groups[Split.TRAIN] for _, label in group}
    assert made.input == Tokens(2 + len(trained) + 5 + 8 + 1)  # labels, domains, numbers, "more"
    batch = made.sample(Split.TEST, 20, np.random.default_rng(0))
    assert (batch.query.inputs[..., 0] == 1).all()  # the first word says the label: it is not known
    assert (batch.query.inputs[..., 1] > 1).all()


def test_lengths_are_those_of_the_texts_and_long_ones_are_cut(file: Path) -> None:
    batch = family(file, max_length=5).sample(Split.TRAIN, 50, np.random.default_rng(0))
    assert batch.query.inputs.shape[2] == 5
    assert set(batch.query.lengths.flatten().tolist()) == {3, 4, 5}


def test_the_same_generator_gives_the_same_batch_whatever_the_order_of_the_rows(file: Path, tmp_path: Path) -> None:
    reversed_file = write(tmp_path / "reversed.csv", rows()[::-1])
    for split in Split:
        first, second, other = (
            family(of, level="character").sample(split, 5, np.random.default_rng([7, k])).query.inputs
            for of, k in ((file, 3), (reversed_file, 3), (file, 4))
        )
        assert torch.equal(first, second)
        assert first.shape != other.shape or not torch.equal(first, other)


def test_classes_change_their_meaning_from_task_to_task(file: Path) -> None:
    made = family(file, split_by="domain", level="character", ways=2)
    batch = made.sample(Split.TRAIN, 60, np.random.default_rng(0))
    assert made.output == Classes(2)
    assert len({task[0][1] for task in texts_of(made, batch.support)}) == 15  # every label is class 0 somewhere


def test_a_text_that_a_class_has_twice_counts_once(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", [*rows(each=5), *rows(each=5)])
    made = family(file, split_by="domain")
    assert {len(texts) for texts in made.corpus.classes.values()} == {5}


@pytest.mark.parametrize(
    ("change", "options", "expected"),
    [
        (lambda r: [*r, ("", "label0", "domain0")], {}, "{}, line 602, column 'text': found nothing, expected text"),
        (lambda r: [*r, (" ", "label0", "domain0")], {}, "{}, line 602, column 'text': found ' ', expected text"),
        (lambda r: [*r, ("x", "", "domain0")], {}, "{}, line 602, column 'label': found nothing, expected text or an"),
        (
            lambda r: [*r, ("x", "label0", "")],
            {"split_by": "domain"},
            "{}, line 602, column 'domain': found nothing, expected text or an",
        ),
        (
            lambda r: [*r, ("x", "rare", "domain0"), ("x", "rare", "domain0")],
            {},
            "{}: the label 'rare' has 1 different text (the first in line 602), expected at least 5: tasks.shots +",
        ),
        (
            lambda r: [*r, ("x", "rare", "domain0")],
            {"split_by": "domain"},
            "{}: the label 'rare' in the domain 'domain0' has 1 different text (the first in line 602), expected",
        ),
        (
            lambda r: [*r, *((f"x{i}", "label0", "small") for i in range(9))],
            {"split_by": "domain"},
            "{}: the domain 'small' has 1 label (label0), expected at least 2: tasks.ways",
        ),
        (lambda r: r[:80], {}, "tasks: found 2 labels in {}, expected at least 3: one for every split"),
        (lambda r: r, {"ways": 4}, "tasks.ways: found 4, expected at most 3: the validation split has no more classes"),
        (lambda r: r, {"label_column": "lable"}, "tasks.label_column: {} has no column 'lable'; did you mean 'label'?"),
        (
            lambda r: r,
            {"split_by": "domain", "domain_column": "product"},
            "tasks.domain_column: {} has no column 'product'; expected one of: text, label, domain",
        ),
    ],
)
def test_a_bad_file(change: Any, options: dict[str, Any], expected: str, tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", change(rows()))
    with pytest.raises(InputError) as refused:
        family(file, **options)
    assert str(refused.value).startswith(expected.format(file))


def test_the_domain_column_is_only_read_where_splits_are_by_domain(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", [(text, label, "") for text, label, _ in rows()])
    assert family(file).corpus.groups
