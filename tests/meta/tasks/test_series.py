"""Few-shot forecasting of a user's series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpo.config.tasks import SeriesConfig
from hpo.errors import InputError
from hpo.meta.tasks import Features, Series, Split, TaskBatch, Values, check, task_family
from tests.csv_file import write_csv

Row = tuple[str, object, object]  # series, time, value
NAMES = [f"s{i}" for i in range(10)]


def value(series: int, time: int) -> float:
    """Grows with time, and says by its size which series it is of."""
    return 1000.0 * series + time**1.5


def rows(length: int = 60) -> list[Row]:
    return [(name, t, value(i, t)) for i, name in enumerate(NAMES) for t in range(length + i)]


def write(path: Path, found: Sequence[Row]) -> Path:
    return write_csv(path, ("series", "time", "value"), found)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("series") / "series.csv", rows())


def family(file: Path, **options: Any) -> Series:
    chosen = {"window": 5, "horizon": 2, "shots": 4, "queries": 3, **options}
    return Series(SeriesConfig(kind="series", file=str(file), **chosen))


def windows(batch: TaskBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Support and query (tasks, examples, window + horizon), in double precision."""
    support, query = (torch.cat([of.inputs[..., 0], of.targets], dim=2).double() for of in (batch.support, batch.query))
    return support, query


options = st.fixed_dictionaries(
    {
        "window": st.integers(1, 12),
        "horizon": st.integers(1, 8),
        "shots": st.integers(1, 8),
        "queries": st.integers(1, 8),
        "split_seed": st.integers(0, 5),
    }
)


@settings(max_examples=40, deadline=None)
@given(options, st.sampled_from(list(Split)), st.integers(1, 5), st.integers(0, 2**32))
def test_every_batch_keeps_its_promises(
    file: Path, chosen: dict[str, Any], split: Split, tasks: int, seed: int
) -> None:
    made = family(file, **chosen)
    batch = check(made.sample(split, tasks, np.random.default_rng(seed)), made, tasks=tasks)
    assert batch.support.inputs.shape == (tasks, chosen["shots"], chosen["window"], 1)
    assert batch.query.targets.shape == (tasks, chosen["queries"], chosen["horizon"])
    support, query = windows(batch)
    assert (support.flatten(1).amax(dim=1) < query.flatten(1).amin(dim=1)).all()  # values grow: support is earlier
    for windows_of_task in torch.cat([support, query], dim=1):
        assert (windows_of_task.diff(dim=1) > 0).all()  # in the order of time
        assert len(windows_of_task.unique(dim=0)) == len(windows_of_task)  # none is drawn twice


def scaled(values: NDArray[np.float64], past: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values - past.mean()) / past.std()


def test_values_are_standardized_by_what_was_before(file: Path) -> None:
    """What is asked is three values of some series, scaled by all of its values before some moment."""
    made = family(file, shots=54, queries=1, window=2, horizon=1)  # 60 values and more: few moments are possible
    _, query = windows(made.sample(Split.TRAIN, 40, np.random.default_rng(0)))
    possible = [
        scaled(values[begin : begin + 3], values[:moment])
        for values in (made.series[name] for name in made.names[Split.TRAIN])
        for moment in range(56, len(values) - 2)
        for begin in range(moment, len(values) - 2)
    ]
    for task in query:
        assert np.isclose(possible, task, atol=1e-4).all(axis=1).any()


def test_nothing_of_the_query_changes_the_support(file: Path, tmp_path: Path) -> None:
    """The same rows, with other values in the last two thirds: a task whose moment is before them is the same."""
    made = family(file)
    other = family(write(tmp_path / "other.csv", [(s, t, v if t < 40 else -v) for s, t, v in rows()]))
    batches = [of.sample(Split.TRAIN, 200, np.random.default_rng(0)) for of in (made, other)]
    same = (batches[0].support.inputs == batches[1].support.inputs).flatten(1).all(dim=1)
    queries_differ = (batches[0].query.targets != batches[1].query.targets).flatten(1).any(dim=1)
    assert (same & queries_differ).sum() > 50


def test_a_past_that_is_constant(tmp_path: Path) -> None:
    levels = {"a": 0, "b": 5, "c": 5, "d": 5}
    found = [(name, t, at if t < 20 else 3 * at + 1) for name, at in levels.items() for t in range(28)]
    made = family(write(tmp_path / "t.csv", found), window=3, horizon=1, shots=1, queries=1)
    seen = set()
    for split in Split:
        support, query = windows(made.sample(split, 200, np.random.default_rng(0)))
        early = support.eq(0).all(dim=(1, 2)) & (query[:, 0, 0] == query[:, 0, -1])
        seen |= {round(float(one), 4) for one in query[early, 0, -1]}
    assert {0.0, 1.0, 2.2} <= seen  # as before; 1 more than 0; 16 is 2.2 times 5 more than 5


def test_the_splits_share_no_series(file: Path) -> None:
    names = family(file).names
    assert sorted(name for of in names.values() for name in of) == NAMES
    assert {split: len(of) for split, of in names.items()} == {"train": 6, "validation": 2, "test": 2}


def test_what_is_read_and_predicted(file: Path) -> None:
    assert family(file).input == Features(1)
    assert family(file, horizon=3).output == Values(3)


def test_the_same_generator_gives_the_same_batch_whatever_the_order_of_the_rows(file: Path, tmp_path: Path) -> None:
    shuffled = rows()
    np.random.default_rng(0).shuffle(shuffled)  # type: ignore[arg-type]
    other = write(tmp_path / "shuffled.csv", shuffled)
    for split in Split:
        first, second, third = (
            family(of).sample(split, 5, np.random.default_rng([7, k])).query.inputs
            for of, k in ((file, 3), (other, 3), (file, 4))
        )
        assert torch.equal(first, second)
        assert not torch.equal(first, third)


def test_a_process_reads_a_file_once_until_it_changes(tmp_path: Path) -> None:
    config = SeriesConfig(kind="series", file=str(write(tmp_path / "t.csv", rows())))
    first = task_family(config)
    assert task_family(config.model_copy()) is first
    assert task_family(config.model_copy(update={"shots": 3})) is not first
    write(tmp_path / "t.csv", rows(length=61))
    assert task_family(config) is not first


def test_every_moment_is_possible(tmp_path: Path) -> None:
    """Of the shortest series there is one; of one with two values more, three."""
    for more, moments in ((0, 1), (2, 3)):
        length = 2 * 7 + 3 + 2 + more
        made = family(write(tmp_path / f"{more}.csv", [(s, t, v) for s, t, v in rows() if int(str(t)) < length]))
        assert {len(values) for values in made.series.values()} == {length}
        support, _ = windows(made.sample(Split.TRAIN, 300, np.random.default_rng(0)))
        assert len({round(float(task.max()), 3) for task in support}) >= moments


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: [*r, ("s0", 99, "1,5")], "{}, line 647, column 'value': found '1,5', expected a finite number"),
        (lambda r: [*r, ("s0", 99, "nan")], "{}, line 647, column 'value': found 'nan', expected a finite number"),
        (lambda r: [*r, ("s0", 99, "")], "{}, line 647, column 'value': found nothing, expected a finite number"),
        (lambda r: [*r, ("s0", "x", 1)], "{}, line 647, column 'time': found 'x', expected a number, as in line 2"),
        (lambda r: [*r, ("", 99, 1)], "{}, line 647, column 'series': found nothing, expected text or an integer"),
        (
            lambda r: [*r, ("s0", 7, 1)],
            "{}, line 647, column 'time': found '7', expected a time that the series 's0' does not have in line 9",
        ),
        (
            lambda r: [*r, ("short", 2, 1), ("short", 1, 1)],
            "{}: the series 'short' has 2 values (the first in line 648), expected at least 19: 2 * (tasks.window +",
        ),
        (lambda r: r[:121], "tasks: found 2 series in {}, expected at least 3: one for every split"),
        (lambda r: [], "tasks.file: {} has no rows below its header"),
    ],
)
def test_a_bad_file(change: Any, expected: str, tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", change(rows()))
    with pytest.raises(InputError) as refused:
        family(file)
    assert str(refused.value).startswith(expected.format(file))


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,day,sales\n" + "".join(f"{s},2026-01-{1 + t:02},{t}\n" for s in range(3) for t in range(28)))
    names = {"series_column": "id", "time_column": "day", "value_column": "sales"}
    assert family(path, **names).series["1"].tolist() == list(range(28))
    with pytest.raises(
        InputError, match=r"tasks\.time_column: .* has no column 'date'; expected one of: id, day, sales"
    ):
        family(path, **{**names, "time_column": "date"})
