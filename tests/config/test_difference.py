from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from hpo.config import StudyConfig
from hpo.config.difference import describe, differences
from hpo.config.learner import LEARNERS, LearnerConfig

RAW: dict[str, Any] = {
    "name": "q",
    "tasks": {"kind": "language_id"},
    "learner": {"kind": "maml", "inner_lr": 0.1},
    "search": {
        "model.hidden_size": {"type": "int", "low": 16, "high": 128, "log": True},
        "training.meta_batch": {"type": "int", "low": 4, "high": 16, "step": 4},
        "learner.inner_lr": {"type": "float", "low": 0.1, "high": 0.5, "step": 0.1},
        "training.outer_lr": {"type": "float", "low": 0.001, "high": 0.1},
        "model.cell": {"type": "categorical", "choices": ["gru", "rnn"]},
        "model.nonlinearity": {"type": "categorical", "choices": ["tanh", "relu"], "when": {"model.cell": ["rnn"]}},
    },
}


def changed(**sections: Any) -> StudyConfig:
    return StudyConfig.from_dict({**RAW, **sections})


def searched(path: str, **keys: Any) -> StudyConfig:
    search = {**RAW["search"], path: {**RAW["search"].get(path, {}), **keys}}
    return changed(search=search)


def found(new: StudyConfig) -> list[tuple[str, bool]]:
    return [(difference.path, difference.allowed) for difference in differences(changed(), new)]


@pytest.mark.parametrize("written_out", [False, True])
def test_equal_configs_do_not_differ(written_out: bool) -> None:
    old = changed()
    assert differences(old, StudyConfig.from_dict(old.to_dict() if written_out else RAW)) == []
    assert describe([]) == ""


@pytest.mark.parametrize(
    ("sections", "path", "allowed"),
    [
        ({"stop": {"trials": 3}}, "stop.trials", True),
        ({"stop": {"trials": 300}}, "stop.trials", True),
        ({"execution": {"devices": ["cpu"]}}, "execution.devices", True),
        ({"execution": {"lease_s": 5.0}}, "execution.lease_s", True),
        ({"execution": {"fuse": 4}}, "execution.fuse", True),
        ({"execution": {"executor": "ray"}}, "execution.executor", True),
        ({"name": "r"}, "name", False),
        ({"learner": {"kind": "maml", "inner_lr": 0.2}}, "learner.inner_lr", False),
        ({"model": {"layers": 2}}, "model.layers", False),
        ({"training": {"seed": 1}}, "training.seed", False),
        ({"sampler": {"kind": "tpe"}}, "sampler.kind", False),
        ({"pruner": {"kind": "none"}}, "pruner.kind", False),
        ({"tasks": {"kind": "language_id", "ways": 3}}, "tasks.ways", False),
    ],
)
def test_what_a_running_study_can_take(sections: dict[str, Any], path: str, allowed: bool) -> None:
    assert found(changed(**sections)) == [(path, allowed)]


@pytest.mark.parametrize(
    ("path", "keys", "expected"),
    [
        ("model.hidden_size", {"low": 8}, [("low", True)]),
        ("model.hidden_size", {"high": 256}, [("high", True)]),
        ("model.hidden_size", {"low": 8, "high": 256}, [("low", True), ("high", True)]),
        ("model.hidden_size", {"low": 17}, [("low", False)]),
        ("model.hidden_size", {"high": 127}, [("high", False)]),
        ("model.hidden_size", {"low": 8, "high": 127}, [("low", True), ("high", False)]),
        ("model.hidden_size", {"high": 256, "log": False}, [("high", False), ("log", False)]),
        ("training.outer_lr", {"low": 0.0001}, [("low", True)]),
        ("training.outer_lr", {"high": 0.05}, [("high", False)]),
        ("training.meta_batch", {"low": 8}, [("low", False)]),
        ("training.meta_batch", {"high": 17}, [("high", True)]),
        ("training.meta_batch", {"low": 2}, [("low", False)]),
        ("training.meta_batch", {"low": 4, "step": 2}, [("step", False)]),
        ("learner.inner_lr", {"high": 0.9}, [("high", True)]),
        ("learner.inner_lr", {"low": 0.05}, [("low", False)]),
        ("model.cell", {"choices": ["gru", "rnn", "lstm"]}, [("choices", True)]),
        ("model.cell", {"choices": ["lstm", "gru", "rnn"]}, [("choices", True)]),
        ("model.nonlinearity", {"when": {"model.cell": ["rnn", "gru"]}}, [("when", False)]),
    ],
)
def test_what_a_running_study_can_take_of_its_space(path: str, keys: dict[str, Any], expected: list[Any]) -> None:
    assert found(searched(path, **keys)) == [(f"search.{path}.{key}", allowed) for key, allowed in expected]


def test_a_stepped_range_widens_by_whole_steps() -> None:
    old = changed(search={"training.outer_lr": {"type": "float", "low": 0.3, "high": 0.5, "step": 0.1}})
    for low, allowed in ((0.1, True), (0.2, True), (0.25, False)):
        new = changed(search={"training.outer_lr": {"type": "float", "low": low, "high": 0.5, "step": 0.1}})
        assert [d.allowed for d in differences(old, new)] == [allowed]


def test_a_removed_choice_is_refused() -> None:
    old = searched("model.cell", choices=["gru", "rnn", "lstm"])
    assert [(d.path, d.allowed) for d in differences(old, changed())] == [("search.model.cell.choices", False)]


@settings(deadline=None)
@given(st.permutations(["gru", "rnn", "lstm"]))
def test_new_choices_may_come_anywhere(choices: list[str]) -> None:
    assert found(searched("model.cell", choices=choices)) == [("search.model.cell.choices", True)]


def test_another_type_of_dimension_is_refused_whole() -> None:
    search = {**RAW["search"], "model.hidden_size": {"type": "categorical", "choices": [16, 128]}}
    search["model.cell"] = RAW["search"]["model.cell"]
    assert not any(allowed for _, allowed in found(changed(search=search)))


def test_dimensions_come_and_go() -> None:
    search = {path: dimension for path, dimension in RAW["search"].items() if path != "model.hidden_size"}
    less = changed(search=search)
    assert found(less) == [("search.model.hidden_size", False)]
    assert "search.model.hidden_size: was {'when'" in describe(differences(changed(), less))
    assert describe(differences(changed(), less)).endswith(", is now absent")
    (more,) = differences(less, changed())
    assert more.allowed
    assert describe([more]).startswith("search.model.hidden_size: was absent, is now {")


class LeapConfig(LearnerConfig):
    kind: Literal["leap"]
    stride: int = Field(2, ge=1)


def test_a_new_kind_brings_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LEARNERS, "leap", LeapConfig)
    one, both = ({"learner.kind": {"type": "categorical", "choices": kinds}} for kinds in (["maml"], ["maml", "leap"]))
    old, new = changed(search=one), changed(search=both)
    assert all(difference.allowed for difference in differences(old, new))
    assert describe(differences(old, new)).splitlines() == [
        "learner.stride: was absent, is now 2",
        "search.learner.kind.choices: was ['maml'], is now ['maml', 'leap']",
    ]
    assert [(d.path, d.allowed) for d in differences(new, old)] == [
        ("learner.stride", False),
        ("search.learner.kind.choices", False),
    ]


def test_differences_are_told_in_words() -> None:
    new = changed(learner={"kind": "maml", "inner_lr": 0.2}, stop={"trials": 30})
    assert (
        describe(differences(changed(), new)) == "learner.inner_lr: was 0.1, is now 0.2\nstop.trials: was 24, is now 30"
    )


def test_where_a_study_lies_is_no_difference() -> None:
    assert differences(changed(), changed(storage="postgresql://me:s3cret@host/db")) == []
