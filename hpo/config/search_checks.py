"""Search paths against the fields that they name: does each exist, and does every value fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from hpo.config.conditions import circle_problems, condition_problems
from hpo.config.kinds import KINDS, SEARCHED_SECTIONS, kind_model, trial_models
from hpo.config.paths import field_paths, set_path
from hpo.config.problems import InvalidConfig, Location, Problem, dotted, hint, nearest
from hpo.config.search import CategoricalDimension, Dimension, FloatDimension
from hpo.config.section import Section
from hpo.config.validation import validated_as

Fields = dict[str, dict[str, Any]]  # dotted path -> kinds of its section that have it -> its type
_DIMENSION: TypeAdapter[Dimension] = TypeAdapter(Dimension)


def search_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the dimensions of a raw config that are valid in themselves."""
    search = _valid_dimensions(raw.get("search"))
    fields = _searchable_fields(raw)
    problems: list[Problem] = []
    for path, dimension in search.items():
        if _is_of_unknown_kind(path, raw):
            continue
        if path not in fields:
            problems.append(Problem(("search", path), f"no field {path!r} to search{_field_hint(path, fields)}"))
            continue
        problems += _kind_problems(raw, path, dimension, fields) or _value_problems(raw, path, dimension, fields)
    for path, dimension in search.items():
        problems += condition_problems(
            path, dimension, search, list(fields), lambda other, value: rejection(raw, other, value, fields)
        )
    return problems + circle_problems(search)


def _valid_dimensions(raw: Any) -> dict[str, Dimension]:
    valid = {}
    for path, dimension in raw.items() if isinstance(raw, dict) else ():
        try:
            valid[path] = _DIMENSION.validate_python(dimension)
        except ValidationError:
            continue  # reported where the whole config is validated
    return valid


def _searchable_fields(raw: Mapping[str, Any]) -> Fields:
    fields: Fields = {}
    for section in SEARCHED_SECTIONS:
        for kind, model in trial_models(section, raw).items():
            for path, annotation in field_paths(model, f"{section}."):
                fields.setdefault(path, {})[kind] = annotation
    return fields


def _is_of_unknown_kind(path: str, raw: Mapping[str, Any]) -> bool:
    """Whether nothing can be said of ``path`` before its section has a kind that exists."""
    section, _, field = path.partition(".")
    return section in KINDS and field != "kind" and not trial_models(section, raw)


def _field_hint(path: str, fields: Fields) -> str:
    section, _, name = path.partition(".")
    if elsewhere := [field for field in fields if field.partition(".")[2] == (name or section)]:
        return f"; did you mean {elsewhere[0]!r}?"
    names = [field.partition(".")[2] for field in fields if field.startswith(f"{section}.")]
    if near := nearest(name, names):
        return f"; did you mean '{section}.{near}'?"
    return f"; expected one of: {', '.join(f'{section}.{name}' for name in names)}" if names else hint(path, fields)


def _kind_problems(raw: Mapping[str, Any], path: str, dimension: Dimension, fields: Fields) -> list[Problem]:
    """A field of some kinds only must be searched under these kinds only."""
    section = path.partition(".")[0]
    if all(kind in fields[path] for kind in _active_models(raw, path, dimension)):
        return []
    having = ", ".join(fields[path])
    message = f"only {section}.kind {having} has this field: add  when: {{{section}.kind: [{having}]}}"
    return [Problem(("search", path), message)]


def _active_models(raw: Mapping[str, Any], path: str, dimension: Dimension) -> dict[str, type[Section]]:
    section = path.partition(".")[0]
    allowed = dimension.when.get(f"{section}.kind")
    models = trial_models(section, raw)
    return {kind: model for kind, model in models.items() if allowed is None or kind in allowed}


def _value_problems(raw: Mapping[str, Any], path: str, dimension: Dimension, fields: Fields) -> list[Problem]:
    """The ends of a range, or every choice, tried in the section that they are for."""
    if isinstance(dimension, FloatDimension) and any(_is_integer(kind) for kind in fields[path].values()):
        return [Problem(("search", path, "type"), f"found 'float', expected 'int': {path} is an integer")]
    if isinstance(dimension, CategoricalDimension):
        tried: list[tuple[Location, Any]] = [(("choices", i), value) for i, value in enumerate(dimension.choices)]
    else:
        tried = [(("low",), dimension.low), (("high",), dimension.high)]
    return [
        Problem(("search", path, *where), message)
        for where, value in tried
        if (message := rejection(raw, path, value, fields)) is not None
    ]


def _is_integer(annotation: Any) -> bool:
    members = get_args(annotation) or (annotation,)
    return int in members and float not in members


def rejection(raw: Mapping[str, Any], path: str, value: Any, fields: Fields) -> str | None:
    """Why a kind that has the field ``path`` does not take ``value`` there; None where all do."""
    section, _, field = path.partition(".")
    try:
        if section in KINDS and field == "kind":
            kind_model(section, value)
            return None
        for kind in fields[path]:
            _try(raw, path, value, trial_models(section, raw)[kind])
    except InvalidConfig as invalid:
        return next((problem.message for problem in invalid.problems if _is_at(problem, path)), None)
    return None


def _is_at(problem: Problem, path: str) -> bool:
    return dotted(problem.location) == path


def _try(raw: Mapping[str, Any], path: str, value: Any, model: type[Section]) -> None:
    section = path.partition(".")[0]
    written = raw.get(section)
    known = written.items() if isinstance(written, dict) else ()
    candidate = {section: {key: v for key, v in known if key in model.model_fields}}
    set_path(candidate, path, value)
    validated_as(model, candidate[section], (section,))
