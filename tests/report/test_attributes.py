"""What is written here is read by optuna-dashboard's own functions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs

from hpo.report import attributes

bodies = st.integers(0, 7000).map(lambda length: "".join(chr(97 + i % 26) for i in range(length)))


@given(st.lists(bodies, min_size=1, max_size=3), st.none() | st.integers(1, 99))
def test_the_last_note_written_is_read(written: list[str], trial_id: int | None) -> None:
    present: dict[str, Any] = {"dashboard:7:note_ver": 1, "dashboard:7:note_str:0": "another trial's"}
    trial_id = None if trial_id == 7 else trial_id
    for body in written:
        present |= attributes.note(body, present, trial_id)
    assert get_note_from_system_attrs(present, trial_id) == {"version": len(written), "body": written[-1]}
    assert attributes.read_note(present, trial_id) == written[-1]
    assert attributes.read_note(present, 7) == "another trial's"


@given(st.lists(bodies, min_size=1, max_size=3))
def test_the_last_figure_written_is_read(written: list[str]) -> None:
    present: dict[str, Any] = {}
    for text in written:
        present |= attributes.figure("adaptation", text, present)
    assert get_plotly_graph_objects(present) == ({"adaptation": written[-1]} if any(written) else {})


def test_a_note_exists_from_its_version_on() -> None:
    *parts, (version, _) = attributes.note("x" * 5000, {}, 3).items()
    assert len(parts) == 3
    assert version == attributes.note_version_key(3)
    assert attributes.read_note(dict(parts), 3) == ""
