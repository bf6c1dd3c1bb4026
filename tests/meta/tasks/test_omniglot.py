"""The Omniglot family, on made-up alphabets; on the published ones where they are at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.config.tasks import LONGEST_DRAWING, OmniglotConfig
from hpo.errors import InputError
from hpo.meta.tasks import Episode, Features, Omniglot, Split, check
from hpo.meta.tasks.omniglot_drawings import DRAWERS
from tests.meta.tasks import omniglot_files
from tests.meta.tasks.omniglot_files import BACKGROUND
from tests.real_data import folder_with

Drawn = tuple[str, int]  # character, drawer
QUARTERS = range(4)


@pytest.fixture(scope="module", autouse=True)
def _archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        archives = {f"{kind}_background.zip": BACKGROUND for kind in ("images", "strokes")}
        evaluation = {"images_evaluation.zip": {"Zayin": 6, "Waw": 6}}
        omniglot_files.use(patch, tmp_path_factory.mktemp("omniglot"), archives | evaluation)
        yield
    omniglot_files.forget()


def family(**options: Any) -> Omniglot:
    return Omniglot(OmniglotConfig(kind="omniglot", **options))


def upright(made: Omniglot) -> dict[bytes, Drawn]:
    """What every drawing looks like, unturned."""
    scale = np.float32(1 / 255) if made.config.input == "rows" else np.float32(1)
    return {
        (steps[:length] * scale).tobytes(): (str(name), drawer)
        for name, of, lengths in zip(made.drawings.names, made.drawings.steps, made.drawings.lengths, strict=True)
        for drawer, (steps, length) in enumerate(zip(of, lengths, strict=True))
    }


def turned_back(steps: np.ndarray[Any, np.dtype[np.float32]], quarters: int, kind: str) -> bytes:
    if kind == "rows":
        return np.rot90(steps, -quarters).tobytes()
    dx, dy, pen_up = steps.T
    for _ in range(quarters):  # clockwise: right becomes down
        dx, dy = -dy, dx
    return (np.stack([dx, dy, pen_up], axis=1) + np.float32(0.0)).tobytes()  # -0 becomes 0


def drawn(made: Omniglot, episode: Episode) -> list[list[tuple[str, int, int]]]:
    """Character, drawer and turn of every example of every task."""
    known, kind = upright(made), made.config.input
    turns = QUARTERS if made.config.rotations else (0,)

    def look_up(steps: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[str, int, int]:
        (found,) = [(*known[key], k) for k in turns if (key := turned_back(steps, k, kind)) in known]
        return found

    tasks = zip(episode.inputs.numpy(), episode.lengths.tolist(), strict=True)
    return [
        [look_up(steps[:length]) for steps, length in zip(inputs, lengths, strict=True)] for inputs, lengths in tasks
    ]


options = st.fixed_dictionaries(
    {
        "ways": st.integers(2, 6),
        "shots": st.integers(1, 10),
        "queries": st.integers(1, 10),
        "input": st.sampled_from(["rows", "strokes"]),
        "rotations": st.booleans(),
        "within_alphabet": st.booleans(),
    }
)


@settings(max_examples=30, deadline=None)
@given(options, st.sampled_from(list(Split)), st.integers(1, 4), st.integers(0, 2**32))
def test_every_batch_keeps_its_promises(chosen: dict[str, Any], split: Split, tasks: int, seed: int) -> None:
    made = family(**chosen)
    batch = check(made.sample(split, tasks, np.random.default_rng(seed)), made, tasks=tasks)
    parts = [list(zip(drawn(made, part), part.targets.tolist(), strict=True)) for part in (batch.support, batch.query)]
    for (support, support_targets), (query, query_targets) in zip(*parts, strict=True):
        examples = [*support, *query]
        assert len(set(examples)) == len(examples)  # support and query share none
        classes = {
            (target, name, turn)
            for target, (name, _, turn) in zip([*support_targets, *query_targets], examples, strict=True)
        }
        assert sorted(target for target, _, _ in classes) == list(range(chosen["ways"]))
        assert len({(name, turn) for _, name, turn in classes}) == chosen["ways"]
        alphabets = {name.partition("/")[0] for _, name, _ in classes}
        assert alphabets <= set(made.alphabets[split])
        if chosen["within_alphabet"]:
            assert len(alphabets) == len({turn for _, _, turn in classes}) == 1


@pytest.mark.parametrize("kind", ["rows", "strokes"])
def test_classes_are_balanced(kind: str) -> None:
    batch = family(input=kind, ways=4, shots=3, queries=7).sample(Split.TRAIN, 9, np.random.default_rng(0))
    for episode, per_class in ((batch.support, 3), (batch.query, 7)):
        assert all(torch.bincount(task, minlength=4).tolist() == [per_class] * 4 for task in episode.targets)
        assert episode.inputs.shape[2] == int(episode.lengths.max())


@pytest.mark.parametrize("kind", ["rows", "strokes"])
@pytest.mark.parametrize("split", Split)
def test_the_same_generator_gives_the_same_batch(kind: str, split: Split) -> None:
    first, second, other = (family(input=kind).sample(split, 5, np.random.default_rng([7, k])) for k in (3, 3, 4))
    assert torch.equal(first.support.inputs, second.support.inputs)
    assert torch.equal(first.query.inputs, second.query.inputs)
    assert first.query.inputs.shape != other.query.inputs.shape or not torch.equal(
        first.query.inputs, other.query.inputs
    )


def test_every_character_turn_and_drawer_is_drawn_equally() -> None:
    made = family(ways=2, shots=1, queries=1)
    examples = [
        one
        for task in drawn(made, made.sample(Split.VALIDATION, 1500, np.random.default_rng(0)).support)
        for one in task
    ]
    (alphabet,) = made.alphabets[Split.VALIDATION]
    for found, kinds in (
        ([turn for _, _, turn in examples], 4),
        ([drawer for _, drawer, _ in examples], DRAWERS),
        ([name for name, _, _ in examples], BACKGROUND[alphabet]),
    ):
        counts = np.unique(found, return_counts=True)[1]
        assert len(counts) == kinds
        assert abs(counts - 3000 / kinds).max() < 5 * np.sqrt(3000 / kinds)


def test_an_alphabet_that_is_too_small_for_a_task_is_left_out() -> None:
    made = family(ways=7, shots=1, queries=1, within_alphabet=True)
    tasks = drawn(made, made.sample(Split.TRAIN, 30, np.random.default_rng(0)).query)
    assert {name.partition("/")[0] for task in tasks for name, _, _ in task} == {"Gimel"}
    assert len(made.alphabets[Split.TRAIN]) == 3


def test_a_task_that_is_too_large_is_refused() -> None:
    with pytest.raises(InputError, match=r"tasks\.ways: found 8, expected at most 7: the test split has no more"):
        family(ways=8, within_alphabet=True)
    with pytest.raises(InputError, match=r"shots \+ queries = 15 \+ 6 = 21, expected at most 20: so many drew"):
        family(shots=15, queries=6)


def test_the_evaluation_alphabets_are_for_the_test_only() -> None:
    full, background = family(alphabets="full").alphabets, family(alphabets="background").alphabets
    assert full[Split.TEST] == ["Waw", "Zayin"]
    assert full[Split.VALIDATION] == background[Split.VALIDATION]
    assert set(full[Split.TRAIN]) == {*background[Split.TRAIN], *background[Split.TEST]}


def test_inputs_are_rows_or_steps_of_the_pen() -> None:
    assert family().input == Features(28)
    assert family(input="strokes").input == Features(3)
    assert family(input="strokes").drawings.lengths.max() <= LONGEST_DRAWING


def test_the_published_small_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [f"omniglot/images_background_small{n}.zip" for n in (1, 2)]
    monkeypatch.setenv("HPO_DATA_DIR", str(folder_with(*names)))
    monkeypatch.setenv("HPO_CACHE_DIR", str(tmp_path))
    sizes = {name: len(family(alphabets=name).drawings.names) for name in ("small1", "small2", "small")}
    assert sizes == {"small1": 136, "small2": 156, "small": 242}  # Greek (24) and Latin (26) are in both
    made = family(alphabets="small")
    assert {split: len(alphabets) for split, alphabets in made.alphabets.items()} == {
        "train": 4,
        "validation": 2,
        "test": 2,
    }
    assert 0.05 < made.drawings.steps.mean() / 255 < 0.12  # ink is 1, and there is little of it
