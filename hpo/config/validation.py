"""Raw mappings, as YAML or JSON has them, -> models, with every problem found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import ValidationError, create_model

from hpo.config.kinds import BASES, KINDS, kind_model, trial_models, written_kind
from hpo.config.problems import InvalidConfig, Location, Problem, collect, hint
from hpo.config.search import DIMENSIONS
from hpo.config.section import Section
from hpo.config.wording import KnownKeys, problems_of

Model = TypeVar("Model", bound=Section)


def validated(model: type[Model], raw: Mapping[str, Any]) -> Model:
    """``raw`` as a ``model`` with sections of the kinds that it names; raises InvalidConfig with every problem."""
    problems: list[Problem] = []
    sections = {name: collect(problems, _written_model, name, raw) for name in KINDS}
    concrete = _with_sections(model, sections["tasks"], sections["learner"])
    own = {key: _without_other_kinds(key, value, raw) for key, value in raw.items()}
    parsed = collect(problems, validated_as, concrete, own, (), _known_keys(concrete, raw))
    if parsed is None or problems:
        raise InvalidConfig(problems)
    return model(**{name: getattr(parsed, name) for name in model.model_fields})


def validated_as(model: type[Model], raw: Any, location: Location, known: KnownKeys | None = None) -> Model:
    """``raw``, which stands at ``location``, as a ``model``; raises InvalidConfig.

    JSON's rules: a list may fill a tuple, ``1`` a float; nothing else is converted.
    """
    try:
        return model.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        keys = known or (lambda _: list(model.model_fields))
        raise InvalidConfig(problems_of(error, raw, location, keys)) from None


def _written_model(section: str, raw: Mapping[str, Any]) -> type[Section]:
    if not isinstance(raw.get(section), dict):
        return BASES[section]  # which then reports that there is no mapping
    kind = written_kind(section, raw)
    if kind is None:
        raise InvalidConfig([Problem((section,), f"the key 'kind' is missing{hint('', KINDS[section])}")])
    return kind_model(section, kind)


@lru_cache(maxsize=64)
def _with_sections(model: type[Model], tasks: type[Section] | None, learner: type[Section] | None) -> type[Model]:
    """``model`` with the options of these kinds; None, a kind that does not exist, takes any."""
    anything = dict[str, Any]
    return create_model(
        model.__name__, __base__=model, tasks=(tasks or anything, ...), learner=(learner or anything, ...)
    )


def _without_other_kinds(section: str, value: Any, raw: Mapping[str, Any]) -> Any:
    """Where the kind is searched, a section may hold options of several kinds: those of the written one."""
    if section not in KINDS or not isinstance(value, dict):
        return value
    models = trial_models(section, raw)
    own = models.pop(written_kind(section, raw), None) or collect([], _written_model, section, raw)
    others = {name for model in models.values() for name in model.model_fields}
    return {key: v for key, v in value.items() if own is None or key in own.model_fields or key not in others}


def other_options(section: str, raw: Mapping[str, Any], resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Options of ``section`` that only other kinds than the written one have, their defaults filled in.

    ``resolved``: the section of the written kind. What kinds share has one value: the written kind's.
    Raises InvalidConfig where an option does not fit its kind.
    """
    options: dict[str, Any] = {}
    problems: list[Problem] = []
    for kind, model in trial_models(section, raw).items():
        known = {**raw[section], **options, **resolved, "kind": kind}
        candidate = {key: value for key, value in known.items() if key in model.model_fields}
        found: list[Problem] = []
        if (of_kind := collect(found, validated_as, model, candidate, (section,))) is not None:
            options |= of_kind.model_dump(mode="json")
        problems += [problem._replace(message=f"{problem.message} (kind {kind!r})") for problem in found]
    if problems:
        raise InvalidConfig(problems)
    return {key: value for key, value in options.items() if key not in resolved}


def _known_keys(model: type[Section], raw: Mapping[str, Any]) -> KnownKeys:
    def known(location: Location) -> Sequence[str]:
        if location[:1] == ("search",) and len(location) == 2:
            return list(DIMENSIONS[raw["search"][location[1]]["type"]].model_fields)
        inner: Any = model
        for part in location:
            field = getattr(inner, "model_fields", {}).get(part)
            inner = field.annotation if field else None
        return list(getattr(inner, "model_fields", ()))

    return known
