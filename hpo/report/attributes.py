"""How optuna-dashboard 0.21 stores notes and figures: in system attributes of the study, cut into parts.

    dashboard:note_ver, dashboard:note_str:<part>                            the study's note
    dashboard:<trial_id>:note_ver, dashboard:<trial_id>:note_str:<part>      a trial's note
    dashboard:plot_data:<id>:<part>                                          a figure, as Plotly's JSON

Written here rather than by its own ``save_note`` and ``save_plotly_graph_object``: these need live objects, read all
notes of the study twice for each one that they write, and cost three seconds of imports (Torch among them). Tests read
what is written here by optuna-dashboard itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PART_LENGTH = 2045


def note_version_key(trial_id: int | None = None) -> str:
    """The attribute that makes a note exist; None: the study's."""
    return f"dashboard:{trial_id}:note_ver" if trial_id is not None else "dashboard:note_ver"


def read_note(present: Mapping[str, Any], trial_id: int | None = None) -> str:
    """The note among the attributes that are present; empty where there is none."""
    if note_version_key(trial_id) not in present:
        return ""
    parts = _present_parts(_note_prefix(trial_id), present)
    return "".join(present[key] for key in parts)


def note(body: str, present: Mapping[str, Any], trial_id: int | None = None) -> dict[str, Any]:
    """The attributes to write for a note, in this order: its version, which makes the note exist, comes last."""
    version = note_version_key(trial_id)
    return {**_parts(_note_prefix(trial_id), body, present), version: present.get(version, 0) + 1}


def figure(figure_id: str, plotly_json: str, present: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes to write for a figure on the study's page."""
    return _parts(f"dashboard:plot_data:{figure_id}:", plotly_json, present)


def _note_prefix(trial_id: int | None) -> str:
    return f"dashboard:{trial_id}:note_str:" if trial_id is not None else "dashboard:note_str:"


def _parts(prefix: str, text: str, present: Mapping[str, Any]) -> dict[str, str]:
    """``text`` in parts; parts of a longer text that stood there before are emptied."""
    pieces = [text[start : start + _PART_LENGTH] for start in range(0, len(text), _PART_LENGTH)]
    leftover = len(_present_parts(prefix, present)) - len(pieces)
    return {f"{prefix}{part}": piece for part, piece in enumerate([*pieces, *[""] * leftover])}


def _present_parts(prefix: str, present: Mapping[str, Any]) -> list[str]:
    keys: list[str] = []
    while (key := f"{prefix}{len(keys)}") in present:
        keys.append(key)
    return keys
