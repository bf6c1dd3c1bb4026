"""pydantic's findings in the words of a study config."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from hpo.config.problems import Location, Problem, did_you_mean, hint

KnownKeys = Callable[[Location], Sequence[str]]  # keys of the mapping at a location
_MAPPING = "a mapping of keys to values"
_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "finite_number": "a finite number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "literal_error": "{expected}",
    "enum": "{expected}",
}


def problems_of(error: ValidationError, raw: Any, prefix: Location, known: KnownKeys) -> list[Problem]:
    """What ``error`` found in ``raw``, which stands at ``prefix`` in the config."""
    return [_problem(details, raw, prefix, known) for details in error.errors(include_url=False)]


def _problem(details: Any, raw: Any, prefix: Location, known: KnownKeys) -> Problem:
    kind, found, context = details["type"], details["input"], details.get("ctx", {})
    location = (*prefix, *_written(details["loc"], raw))
    key = str(details["loc"][-1]) if details["loc"] else ""
    match kind:
        case "extra_forbidden":
            return Problem(location, f"unknown key {key!r}{hint(key, known(location[:-1]))}")
        case "missing" if isinstance(found, list):
            return Problem(location, f"found {shown(found)}, expected more values")
        case "missing":
            return Problem(location, f"the key {key!r} is missing")
        case "union_tag_not_found":
            return Problem(location, "the key 'type' is missing: expected int, float or categorical")
        case "union_tag_invalid":
            return Problem((*location, "type"), _not_one_of(context["tag"], "'int', 'float' or 'categorical'"))
        case "literal_error" | "enum":
            return Problem(location, _not_one_of(found, context["expected"]))
        case "value_error":
            return Problem(location, str(context["error"]))
        case _:
            return Problem(location, f"found {shown(found)}, expected {_expected(details)}")


def _written(loc: Iterable[Any], raw: Any) -> Location:
    """``loc`` without the parts that pydantic adds for the members of a union."""
    kept: list[str | int] = []
    for part in loc:
        if (isinstance(raw, dict) and part in raw) or (isinstance(raw, list) and part in range(len(raw))):
            raw = raw[part]
            kept.append(part)
    return tuple(kept)


def _not_one_of(found: object, expected: str) -> str:
    names = re.findall(r"'([^']*)'", expected)
    return f"found {shown(found)}, expected {expected}{did_you_mean(found, names)}"


def _expected(details: Any) -> str:
    phrase = _EXPECTED.get(details["type"])
    if phrase is None:  # a kind of field that only a task family of the user's own has
        return str(details["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    expected = phrase.format(**details.get("ctx", {}))
    quotes = details["type"] == "string_type" and isinstance(details["input"], bool | int | float)
    return f"{expected}: put it in quotes" if quotes else expected


def shown(found: object) -> str:
    """A value as a YAML file would have it, cut where it is long."""
    text = repr(found) if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
