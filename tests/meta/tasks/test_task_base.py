"""Batches, what `check` says of wrong ones, and families of a user's own."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hpo.config.plugin import load_class
from hpo.config.tasks import LanguageIdConfig, OmniglotConfig, SeriesConfig, SinusoidConfig, TextConfig
from hpo.errors import InputError
from hpo.meta.tasks import (
    FAMILIES,
    Classes,
    Episode,
    Features,
    Split,
    TaskBatch,
    TaskFamily,
    TasksConfig,
    Tokens,
    Values,
    check,
    task_family,
)

TASKS, EXAMPLES, TIME = 3, 4, 6


class Letters(TaskFamily):
    """Tokens in, classes out."""

    input: Any = Tokens(5)
    output: Any = Classes(2)

    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        return TaskBatch(self.episode(tasks, rng), self.episode(tasks, rng))

    def episode(self, tasks: int, rng: np.random.Generator) -> Episode:
        inputs = rng.integers(1, 5, (tasks, EXAMPLES, TIME))
        lengths = rng.integers(1, TIME + 1, (tasks, EXAMPLES))
        inputs[np.arange(TIME) >= lengths[..., None]] = 0
        return Episode.of(inputs, rng.integers(0, 2, (tasks, EXAMPLES)), lengths)


class Numbers(Letters):
    """Forgets to say what kind of input it has."""

    input = 5


class Waves(TaskFamily):
    """Features in, values out."""

    input: Any = Features(2)
    output: Any = Values(1)

    def sample(self, split: Split, tasks: int, rng: np.random.Generator) -> TaskBatch:
        return TaskBatch(self.episode(tasks, rng), self.episode(tasks, rng))

    def episode(self, tasks: int, rng: np.random.Generator) -> Episode:
        return Episode.of(rng.normal(size=(tasks, EXAMPLES, TIME, 2)), rng.normal(size=(tasks, EXAMPLES, 1)))


def sample(family: type[TaskFamily]) -> tuple[TaskFamily, TaskBatch]:
    made = family(TasksConfig(kind="own"))
    return made, made.sample(Split.TRAIN, TASKS, np.random.default_rng(0))


@pytest.mark.parametrize("family", [Letters, Waves])
def test_check_gives_a_good_batch_back(family: type[TaskFamily]) -> None:
    made, batch = sample(family)
    assert check(batch, made, tasks=TASKS) is batch


Spoil = Callable[[Tensor], object]
LETTERS: dict[str, tuple[str, Spoil, str]] = {
    "token out of range": ("inputs", lambda x: x + 4, "..8, expected values in 0..4"),
    "real tokens": ("inputs", lambda x: x.float(), "found float32 of shape (3, 4, 6), expected int64"),
    "tokens without time": ("inputs", lambda x: x[..., 0], "(3, 4), expected int64 of shape (tasks, examples, time)"),
    "array for a tensor": ("inputs", lambda x: x.numpy(), "found ndarray, expected a torch tensor"),
    "class out of range": ("targets", lambda x: x + 1, "found values in 1..2, expected values in 0..1"),
    "one target too few": ("targets", lambda x: x[:, 1:], "of shape (3, 3), expected int64 of shape (3, 4)"),
    "length 0": ("lengths", lambda x: x * 0, "found values in 0..0, expected values in 1..6"),
    "length beyond time": ("lengths", lambda x: x * 0 + 7, "found values in 7..7, expected values in 1..6"),
    "int32 lengths": ("lengths", lambda x: x.int(), "found int32 of shape (3, 4), expected int64"),
    "no padding": ("inputs", torch.ones_like, "found other values than 0 after a sequence's length, expected 0"),
}
WAVES: dict[str, tuple[str, Spoil, str]] = {
    "wrong feature size": ("inputs", lambda x: x[..., :1], "expected float32 of shape (tasks, examples, time, 2)"),
    "float64 features": ("inputs", lambda x: x.double(), "found float64 of shape (3, 4, 6, 2), expected float32"),
    "NaN features": ("inputs", lambda x: x * torch.nan, "found infinite or NaN values"),
    "infinite targets": ("targets", lambda x: x.abs() / 0, "found infinite or NaN values"),
    "targets without values": ("targets", lambda x: x[..., 0], "(3, 4), expected float32 of shape (3, 4, 1)"),
    "no examples": ("inputs", lambda x: x[:, :0], "found float32 of shape (3, 0, 6, 2)"),
}
WRONG = {name: (Letters, *case) for name, case in LETTERS.items()} | {
    name: (Waves, *case) for name, case in WAVES.items()
}


@pytest.mark.parametrize("part", ["support", "query"])
@pytest.mark.parametrize(("family", "field", "spoil", "message"), WRONG.values(), ids=WRONG.keys())
def test_check_names_family_field_found_and_expected(
    family: type[TaskFamily], field: str, spoil: Spoil, message: str, part: str
) -> None:
    made, batch = sample(family)
    episode = getattr(batch, part)
    wrong = replace(batch, **{part: replace(episode, **{field: spoil(getattr(episode, field))})})
    with pytest.raises(InputError, match=rf"{family.__name__}: {part}\.{field}: .*{re.escape(message)}"):
        check(wrong, made)


def test_check_counts_tasks() -> None:
    made, batch = sample(Letters)
    with pytest.raises(InputError, match=r"query\.inputs: found 1 tasks, expected 3 tasks as in support"):
        check(TaskBatch(batch.support, batch.query.chunk(3)[0]), made)
    with pytest.raises(InputError, match=r"sample\(\): found 3 tasks, expected 5 tasks"):
        check(batch, made, tasks=5)


def test_check_wants_the_records_of_this_package() -> None:
    made, batch = sample(Letters)
    with pytest.raises(InputError, match=r"sample\(\): found tuple, expected a TaskBatch"):
        check((batch.support, batch.query), made)  # type: ignore[arg-type]
    made = Numbers(TasksConfig(kind="own"))
    with pytest.raises(InputError, match=r"Numbers\.input: found 5, expected Tokens or Features"):
        check(batch, made)


@pytest.mark.parametrize("family", [Letters, Waves])
@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_chunks_put_together_are_the_batch(family: type[TaskFamily], parts: int) -> None:
    _, batch = sample(family)
    chunks = batch.chunk(parts)
    assert len(chunks) == min(parts, TASKS)
    assert sum(chunk.tasks for chunk in chunks) == batch.tasks == TASKS
    for field in ("inputs", "targets", "lengths"):
        together = torch.cat([getattr(chunk.query, field) for chunk in chunks])
        assert torch.equal(together, getattr(batch.query, field))


def test_to_changes_the_type_of_real_numbers_only() -> None:
    letters, waves = (sample(family)[1].to("cpu", torch.float64) for family in (Letters, Waves))
    assert letters.support.inputs.dtype == letters.query.targets.dtype == torch.int64
    assert waves.support.inputs.dtype == waves.query.targets.dtype == torch.float64
    assert waves.support.lengths.dtype == torch.int64


def test_an_episode_without_lengths_is_full() -> None:
    episode = Episode.of(np.ones((2, 3, 5), np.uint8), np.zeros((2, 3), np.int32))
    assert episode.inputs.dtype == episode.targets.dtype == torch.int64
    assert episode.lengths.tolist() == [[5] * 3] * 2


def test_the_example_in_the_documentation_is_a_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = inspect.getdoc(TaskFamily).split("::\n")[1].split("\nA study config")[0]  # type: ignore[union-attr]
    (tmp_path / "my_tasks.py").write_text(textwrap.dedent(example))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "my_tasks", raising=False)  # of another test
    kind = "my_tasks:Walks"
    family = task_family(load_class(kind).Config(kind=kind, time=30, shots=2))  # type: ignore[attr-defined]
    monkeypatch.delitem(sys.modules, "my_tasks")
    for split in Split:
        batch = check(family.sample(split, 4, np.random.default_rng(0)), family, tasks=4)
        assert batch.support.inputs.shape == (4, 2, 30, 1)


def test_a_class_that_is_no_family_is_refused() -> None:
    with pytest.raises(InputError, match=r"collections:Counter is no subclass of .*TaskFamily"):
        task_family(TasksConfig(kind="collections:Counter"))


def test_a_family_takes_its_own_config_only() -> None:
    with pytest.raises(InputError, match="sinusoid takes a SinusoidConfig, found a TasksConfig"):
        task_family(TasksConfig(kind="sinusoid"))


def test_families_and_configs_belong_together() -> None:
    assert {kind: family.Config for kind, family in FAMILIES.items()} == {
        "language_id": LanguageIdConfig,
        "sinusoid": SinusoidConfig,
        "omniglot": OmniglotConfig,
        "text": TextConfig,
        "series": SeriesConfig,
    }
