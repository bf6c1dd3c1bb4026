from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from hpo.config import InvalidConfig, StudyConfig, TrialConfig
from hpo.config.learner import LEARNERS, LearnerConfig
from hpo.config.section import Section
from hpo.space import Space

RAW: dict[str, Any] = {
    "name": "q",
    "tasks": {"kind": "language_id", "ways": 4},
    "learner": {"kind": "maml", "inner_lr": 0.2},
    "search": {
        "model.hidden_size": {"type": "int", "low": 16, "high": 128, "log": True},
        "learner.inner_lr": {"type": "float", "low": 0.01, "high": 1.0, "log": True},
        "model.cell": {"type": "categorical", "choices": ["rnn", "gru"]},
        "model.nonlinearity": {"type": "categorical", "choices": ["tanh", "relu"], "when": {"model.cell": ["rnn"]}},
    },
}


class ShortConfig(LearnerConfig):
    """A second learner: shares two options with maml, lacks one, has two of its own."""

    kind: Literal["short"]
    inner_steps: int = Field(1, ge=1, le=5)
    inner_lr: float = Field(0.5, gt=0.0)
    decay: float = Field(0.9, gt=0.0, le=1.0)
    heads: int = Field(2, ge=1)
    sizes: tuple[int, ...] = (1, 2)


@pytest.fixture
def two_learners(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setitem(LEARNERS, "short", ShortConfig)
    search = {
        "learner.kind": {"type": "categorical", "choices": ["maml", "short"]},
        "learner.decay": {"type": "float", "low": 0.5, "high": 1.0, "when": {"learner.kind": ["short"]}},
    }
    return {**RAW, "learner": {"kind": "maml", "heads": 3}, "search": search}


def sections() -> st.SearchStrategy[dict[str, Any]]:
    """Raw configs with some keys written and some left to their defaults."""

    def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({}, optional=fields)

    positive = st.floats(1e-6, 10.0)
    kinds = st.sampled_from(["language_id", "sinusoid"])
    tasks = st.builds(lambda kind, rest: {"kind": kind, **rest}, kinds, some(shots=st.integers(1, 9)))
    learner = some(order=st.sampled_from(["first", "second"]), inner_lr=positive, inner_steps=st.integers(1, 100))
    dimension = st.one_of(
        st.builds(lambda a, b: {"type": "int", "low": min(a, b), "high": max(a, b)}, *[st.integers(1, 16)] * 2),
        st.lists(st.integers(1, 16), min_size=1, unique=True).map(lambda c: {"type": "categorical", "choices": c}),
    )
    return st.fixed_dictionaries(
        {"name": st.just("q"), "tasks": tasks, "learner": learner.map(lambda rest: {"kind": "maml", **rest})},
        optional={
            "model": some(cell=st.sampled_from(["rnn", "gru", "lstm"]), layers=st.integers(1, 16)),
            "training": some(outer_lr=positive, seed=st.integers(0, 2**31 - 1)),
            "search": some(**{"model.layers": dimension, "training.meta_batch": dimension}),
            "execution": some(devices=st.sampled_from(["auto", ["cpu"], ["cuda:0", "cuda:3"]])),
            "stop": some(trials=st.integers(1, 1000)),
            "storage": st.none() | st.just("sqlite:///x.db"),
        },
    )


@settings(deadline=None)
@given(sections())
def test_dictionaries_and_json_round_trip(raw: dict[str, Any]) -> None:
    config = StudyConfig.from_dict(raw)
    again = StudyConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.to_dict() == config.to_dict()
    trial = config.trial_config({})
    assert TrialConfig.from_dict(json.loads(json.dumps(trial.to_dict()))) == trial


def reordered(value: Any, rng: np.random.Generator) -> Any:
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    rng.shuffle(items)
    return {key: reordered(inner, rng) for key, inner in items}


@settings(deadline=None)
@given(sections(), st.integers(0, 100))
def test_the_hash_does_not_see_key_order_written_defaults_or_storage(raw: dict[str, Any], seed: int) -> None:
    config = StudyConfig.from_dict(raw)
    shuffled = reordered(raw, np.random.default_rng(seed))
    assert StudyConfig.from_dict(shuffled).hash == config.hash
    assert StudyConfig.from_dict(config.to_dict()).hash == config.hash
    assert StudyConfig.from_dict({**raw, "storage": "postgresql://elsewhere/x"}).hash == config.hash


@pytest.mark.parametrize("change", [{"learner": {"kind": "maml", "inner_lr": 0.3}}, {"name": "r"}, {"search": {}}])
def test_the_hash_sees_what_has_a_meaning(change: dict[str, Any]) -> None:
    assert StudyConfig.from_dict({**RAW, **change}).hash != StudyConfig.from_dict(RAW).hash


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
def test_every_point_of_the_space_has_a_valid_trial_config(x: list[float]) -> None:
    config = StudyConfig.from_dict(RAW)
    space = Space.from_search(config.search, config.fixed_values())
    params = space.decode(np.array(x))
    flat = config.trial_config(params).to_dict()
    for path, value in params.items():
        section, _, field = path.partition(".")
        assert flat[section][field] == value
    assert flat["tasks"]["ways"] == 4
    if "model.nonlinearity" not in params:
        assert flat["model"]["nonlinearity"] == "tanh"


def test_a_whole_number_may_stand_for_a_float() -> None:
    config = StudyConfig.from_dict({**RAW, "learner": {"kind": "maml", "inner_lr": 1}})
    assert type(config.to_dict()["learner"]["inner_lr"]) is float


def test_the_direction_follows_from_the_metric() -> None:
    assert StudyConfig.from_dict({**RAW, "objective": {"metric": "query_accuracy"}}).objective.direction == "maximize"
    assert StudyConfig.from_dict({**RAW, "objective": {}}).objective.direction == "minimize"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learner.inner_lr": -1.0}, "learner.inner_lr: found -1.0, expected a number above 0.0"),
        ({"learner.innerlr": 1.0}, "learner.innerlr: unknown key 'innerlr'; did you mean 'inner_lr'?"),
        ({"model.hidden_size": 16.0}, "model.hidden_size: found 16.0, expected an integer"),
        (
            {"training.eval_steps": 2},
            "training.eval_steps: found 2, expected at least learner.inner_steps, which is up to 3",
        ),
    ],
)
def test_params_that_fit_no_trial(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        StudyConfig.from_dict(RAW).trial_config(params)
    assert str(caught.value) == message


def test_a_trial_config_is_checked_like_a_study() -> None:
    raw = {"tasks": {"kind": "sinusoid"}, "learner": {"kind": "maml"}, "objective": {"metric": "query_accuracy"}}
    with pytest.raises(InvalidConfig, match="which sinusoid tasks do not have"):
        TrialConfig.from_dict(raw)
    with pytest.raises(InvalidConfig, match="unknown key 'name'"):
        TrialConfig.from_dict({**raw, "name": "q"})


def test_fixed_values_are_those_of_a_trial() -> None:
    values = StudyConfig.from_dict(RAW).fixed_values()
    assert values["learner.inner_lr"] == 0.2
    assert values["training.outer_lr"] == 0.002
    assert {path.partition(".")[0] for path in values} == {"tasks", "model", "learner", "training"}


def test_what_a_database_keeps_has_no_password() -> None:
    config = StudyConfig.from_dict({**RAW, "storage": "postgresql://me:s3cret@host/db"})
    assert "s3cret" not in json.dumps(config.meaning())
    assert StudyConfig.from_dict(config.meaning()).hash == config.hash


def test_changing_what_to_dict_gave_changes_no_config(two_learners: dict[str, Any]) -> None:
    config = StudyConfig.from_dict(two_learners)
    config.to_dict()["learner"]["sizes"].append(99)
    assert config.to_dict()["learner"]["sizes"] == [1, 2]


def test_options_of_every_searched_kind_are_kept_and_filled_in(two_learners: dict[str, Any]) -> None:
    config = StudyConfig.from_dict(two_learners)
    assert config.to_dict()["learner"] == {
        "kind": "maml", "order": "second", "inner_steps": 3, "inner_lr": 0.1, "adapt_embedding": True,
        "rates": "fixed", "multi_step_iterations": 0, "decay": 0.9, "heads": 3, "sizes": [1, 2],
    }  # fmt: skip
    assert StudyConfig.from_dict(config.to_dict()) == config
    assert config.fixed_values()["learner.heads"] == 3


def test_a_trial_has_the_options_of_its_kind_and_shared_ones_from_the_study(two_learners: dict[str, Any]) -> None:
    config = StudyConfig.from_dict(two_learners)
    for same in (config, StudyConfig.from_dict(config.to_dict())):
        short = same.trial_config({"learner.kind": "short", "learner.decay": 0.7})
        assert short.to_dict()["learner"] == {
            "kind": "short", "inner_steps": 3, "inner_lr": 0.1, "decay": 0.7, "heads": 3, "sizes": [1, 2],
        }  # fmt: skip
        assert "decay" not in same.trial_config({"learner.kind": "maml"}).to_dict()["learner"]


class NarrowConfig(LearnerConfig):
    """A learner that takes fewer steps than maml has by default."""

    kind: Literal["narrow"]
    inner_steps: int = Field(1, ge=1, le=2)


def test_a_shared_default_must_fit_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LEARNERS, "narrow", NarrowConfig)
    search = {"learner.kind": {"type": "categorical", "choices": ["narrow", "maml"]}}
    with pytest.raises(InvalidConfig) as caught:
        StudyConfig.from_dict({**RAW, "search": search})
    assert str(caught.value) == "learner.inner_steps: found 3, expected at most 2 (kind 'narrow')"


class BareConfig(LearnerConfig):
    """A learner whose options maml has too."""

    kind: Literal["bare"]
    inner_steps: int = 1


def test_a_kind_with_fewer_options_and_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LEARNERS, "bare", BareConfig)
    search = {"learner.kind": {"type": "categorical", "choices": ["bare", "maml"]}}
    config = StudyConfig.from_dict({**RAW, "search": search})
    assert config.trial_config({"learner.kind": "bare"}).to_dict()["learner"] == {"kind": "bare", "inner_steps": 3}
    bare = StudyConfig.from_dict({**RAW, "learner": {"kind": "bare", "inner_lr": 0.7}, "search": search})
    assert bare.trial_config({}).to_dict()["learner"] == {"kind": "bare", "inner_steps": 1}
    assert bare.trial_config({"learner.kind": "maml"}).to_dict()["learner"]["inner_lr"] == 0.7


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        ({"kind": "maml", "heads": 0}, "learner.heads: found 0, expected at least 1 (kind 'short')"),
        ({"kind": "maml", "inner_steps": 9}, "learner.inner_steps: found 9, expected at most 5 (kind 'short')"),
        ({"kind": "maml", "haeds": 1}, "learner.haeds: unknown key 'haeds'"),
    ],
)
def test_options_that_do_not_fit_their_kind(
    two_learners: dict[str, Any], learner: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        StudyConfig.from_dict({**two_learners, "learner": learner})
    assert str(caught.value).startswith(message)


def test_options_of_a_kind_that_is_not_searched_are_unknown(two_learners: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=r"learner\.heads: unknown key 'heads'"):
        StudyConfig.from_dict({**two_learners, "search": {}})


def test_sections_cannot_be_changed() -> None:
    config = StudyConfig.from_dict(RAW)
    with pytest.raises(ValueError, match="frozen"):
        config.model.layers = 3  # type: ignore[misc]
    assert issubclass(type(config.model), Section)


@pytest.mark.parametrize(
    ("fuse", "device", "searched", "expected"),
    [
        ("auto", "cpu", "learner.inner_lr", 1),
        ("auto", "cuda:1", "learner.inner_lr", 8),
        ("auto", "cuda:1", "model.hidden_size", 1),  # each trial has shapes of its own
        (3, "cpu", "model.hidden_size", 3),
        (1, "cuda:0", "learner.inner_lr", 1),
    ],
)
def test_how_many_trials_a_worker_asks_for(fuse: str | int, device: str, searched: str, expected: int) -> None:
    search = {searched: RAW["search"][searched]}
    config = StudyConfig.from_dict({**RAW, "search": search, "execution": {"fuse": fuse}})
    assert config.trials_at_once(device) == expected
