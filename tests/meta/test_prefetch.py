from __future__ import annotations

import threading
from contextlib import closing

import pytest

from hpo.meta.prefetch import Prefetch


def test_items_come_by_number_and_the_next_one_is_made_meanwhile() -> None:
    made: list[int] = []
    ready = {number: threading.Event() for number in range(3)}

    def make(number: int) -> str:
        made.append(number)
        ready[number].set()
        return f"item {number}"

    with closing(Prefetch(make, 3)) as items:
        assert items(0) == "item 0"
        assert ready[1].wait(5)  # though nobody has asked for it
        assert [items(1), items(2)] == ["item 1", "item 2"]
    assert made == [0, 1, 2], "each once, and none after the end"


def test_any_number_can_be_asked_for() -> None:
    with closing(Prefetch(lambda number: number * number, 100)) as items:
        assert [items(number) for number in (7, 8, 3, 3, 99)] == [49, 64, 9, 9, 9801]


def test_an_error_is_raised_where_its_item_is_asked_for() -> None:
    def make(number: int) -> int:
        if number == 1:
            raise ValueError("bad item")
        return number

    with closing(Prefetch(make, 3)) as items:
        assert items(0) == 0
        with pytest.raises(ValueError, match="bad item"):
            items(1)


def test_closing_ends_the_thread() -> None:
    items = Prefetch(lambda number: number, 3)
    items(0)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]
