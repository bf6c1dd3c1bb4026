from __future__ import annotations

from typing import Any

import pytest

from hpo.config import InvalidConfig, StudyConfig
from hpo.config.learner import LEARNERS
from hpo.config.search import CategoricalDimension
from hpo.config.validation import validated_as


def study(search: dict[str, Any], **sections: Any) -> StudyConfig:
    raw = {"name": "s", "tasks": {"kind": "language_id"}, "learner": {"kind": "maml"}, "search": search, **sections}
    return StudyConfig.from_dict(raw)


@pytest.mark.parametrize("kind", LEARNERS)
def test_every_learner_has_one_that_is_valid(kind: str) -> None:
    config = study({"learner": "default"}, learner={"kind": kind})
    assert config.search.keys() == {f"learner.{field}" for field in LEARNERS[kind].default_search}


def test_learners_that_share_a_field_share_its_dimension() -> None:
    found: dict[str, Any] = {}
    for model in LEARNERS.values():
        for field, dimension in model.default_search.items():
            assert found.setdefault(field, dimension) == dimension


def test_what_is_written_out_comes_first() -> None:
    own = {"type": "int", "low": 2, "high": 3}
    for search in (
        {"learner": "default", "learner.inner_steps": own},
        {"learner.inner_steps": own, "learner": "default"},
    ):
        config = study(search)
        assert config.search["learner.inner_steps"].model_dump(exclude_defaults=True) == own
        assert "learner.inner_lr" in config.search


def test_with_several_learners_each_has_its_own() -> None:
    kinds = CategoricalDimension(type="categorical", choices=list(LEARNERS))
    config = study({"learner.kind": kinds.model_dump(), "learner": "default"})
    assert config.search["learner.distance"].when["learner.kind"] == [
        kind for kind, model in LEARNERS.items() if "distance" in model.default_search
    ]
    assert StudyConfig.from_dict(config.to_dict()).search == config.search
    for kind in LEARNERS:
        trial = config.trial_config({"learner.kind": kind})
        assert trial.learner == validated_as(LEARNERS[kind], {"kind": kind}, ())


def test_it_is_the_only_word_there() -> None:
    with pytest.raises(InvalidConfig, match="search"):
        study({"learner": "defaults"})
    with pytest.raises(InvalidConfig, match="search"):
        study({"model": "default"})


def test_learners_of_classes_need_classes() -> None:
    message = "learner.kind: prototypical needs tasks with classes: sinusoid tasks have real values as targets"
    with pytest.raises(InvalidConfig, match=message):
        study({}, learner={"kind": "prototypical"}, tasks={"kind": "sinusoid"})
    kinds = {"type": "categorical", "choices": ["maml", "prototypical"]}
    with pytest.raises(InvalidConfig, match=message):
        study({"learner.kind": kinds}, tasks={"kind": "sinusoid"})
