"""``search: {learner: default}``: the dimensions that the learners themselves declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo.config.kinds import trial_models
from hpo.config.learner import LearnerConfig


def with_default_search(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """``raw`` with the dimensions in the place of that line; what is written out comes before them.

    Where ``learner.kind`` is searched, what not all of the learners have depends on it.
    """
    search = raw.get("search")
    if not isinstance(search, dict) or search.get("learner") != "default":
        return raw
    found: dict[str, Any] = {}
    for path, dimension in search.items():
        found |= _of_learners(raw) if path == "learner" else {path: dimension}
    return {**raw, "search": found | {path: search[path] for path in search if path != "learner"}}


def _of_learners(raw: Mapping[str, Any]) -> dict[str, Any]:
    models = {kind: model for kind, model in trial_models("learner", raw).items() if issubclass(model, LearnerConfig)}
    found: dict[str, Any] = {}
    for model in models.values():
        for field, dimension in model.default_search.items():
            having = [kind for kind, other in models.items() if field in other.default_search]
            own = dimension.get("when", {}) | ({"learner.kind": having} if len(having) < len(models) else {})
            found[f"learner.{field}"] = dimension | ({"when": own} if own else {})
    return found
