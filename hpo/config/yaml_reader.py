"""YAML text -> plain values and the line of each.

The scalars are those of YAML 1.2: ``1e-3`` is a number, ``no`` and ``2024-01-01`` are text. Anchors and
merge keys work.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from hpo.config.problems import InvalidConfig, Location, Problem

MAX_NODES = 20_000  # aliases expanded: a few lines of aliases of aliases can stand for billions of values
_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, tuple[str, str, Callable[[str], Any]]] = {  # pattern, first characters, conversion
    "null": (r"(?:~|null|Null|NULL|)", "~nN", lambda _: None),
    "bool": (r"(?:true|True|TRUE|false|False|FALSE)", "tTfF", lambda text: text.lower() == "true"),
    "int": (r"[-+]?[0-9]{1,300}", "-+0123456789", int),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
        lambda text: math.nan if "n" in text[:2].lower() else float(re.sub(r"\.(?=[iI])", "", text)),
    ),
}


@dataclass(frozen=True)
class Document:
    """``lines``: location -> line, from 1. ``problems``: what could be read nevertheless."""

    raw: Any
    lines: dict[Location, int]
    problems: list[Problem]

    def line(self, location: Location) -> int:
        """Of the innermost part of a location that the file has."""
        while location not in self.lines:
            location = location[:-1]
        return self.lines[location]


class _Loader(yaml.SafeLoader):
    """Only its composer is used: nodes in, no objects out."""

    yaml_implicit_resolvers = {}  # noqa: RUF012


for _name, (_pattern, _first, _) in _SCALARS.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), [*_first, *("",) * (_name == "null")])
_Loader.add_implicit_resolver(_TAG + "merge", re.compile("^<<$"), ["<"])


def read_yaml(text: str) -> Document:
    """Raises yaml.YAMLError, and InvalidConfig where aliases or nesting go too far."""
    document = Document(None, {(): 1}, [])
    try:
        node = yaml.compose(text, Loader=_Loader)
        raw = None if node is None else _Reader(document).value(node, ())
    except RecursionError:
        raise InvalidConfig([Problem((), "values are nested too deeply")]) from None
    return Document(raw, document.lines, document.problems)


class _Reader:
    def __init__(self, document: Document) -> None:
        self._lines = document.lines
        self._problems = document.problems
        self._nodes_left = MAX_NODES

    def value(self, node: yaml.Node, location: Location) -> Any:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            line = node.start_mark.line + 1
            raise InvalidConfig([Problem((), f"found more than {MAX_NODES} values, expected a config", line)])
        match node:
            case yaml.MappingNode(tag=tag) if tag == _TAG + "map":
                return self._mapping(node, location)
            case yaml.SequenceNode(tag=tag) if tag == _TAG + "seq":
                return [self._item(item, (*location, i)) for i, item in enumerate(node.value)]
            case yaml.ScalarNode():
                return self._scalar(node, location)
        return self._unknown_tag(node, location)

    def _item(self, node: yaml.Node, location: Location) -> Any:
        self._lines[location] = node.start_mark.line + 1
        return self.value(node, location)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == _TAG + "merge":
                self._merge(merged, value, location)
        own: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == _TAG + "str":
                self._entry(own, key, value, location)
            elif key.tag != _TAG + "merge":
                self._add(location, key, f"found the key {_source(key)}, expected text: put it in quotes")
        return {**merged, **own}

    def _entry(self, own: dict[str, Any], key: yaml.Node, value: yaml.Node, location: Location) -> None:
        inner, line = (*location, key.value), key.start_mark.line + 1
        if key.value in own:
            self._add(
                inner, key, f"the key {key.value!r} is there twice, first in line {self._lines[inner]}: remove one"
            )
            return
        self._lines[inner] = line
        own[self._text(key, location)] = self.value(value, inner)

    def _merge(self, merged: dict[str, Any], node: yaml.Node, location: Location) -> None:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            part = self.value(source, location)
            if isinstance(part, dict):
                merged.update({key: value for key, value in part.items() if key not in merged})
            else:
                self._add(location, source, "'<<' takes a mapping, or a list of mappings")

    def _scalar(self, node: yaml.ScalarNode, location: Location) -> Any:
        name = node.tag.removeprefix(_TAG)
        if name == "str":
            return self._text(node, location)
        if name not in _SCALARS:
            return self._unknown_tag(node, location)
        pattern, _, convert = _SCALARS[name]
        if re.fullmatch(pattern, node.value):
            return convert(node.value)
        return self._add(location, node, f"found {node.value!r}, which is no {name}")

    def _text(self, node: yaml.Node, location: Location) -> str:
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            self._add(location, node, "half of a surrogate pair: this is no text")
            return ""
        return str(node.value)

    def _unknown_tag(self, node: yaml.Node, location: Location) -> None:
        self._add(location, node, f"unknown tag {node.tag.replace(_TAG, '!!')}: remove it")

    def _add(self, location: Location, node: yaml.Node, message: str) -> None:
        self._problems.append(Problem(location, message, node.start_mark.line + 1))


def _source(key: yaml.Node) -> str:
    return str(key.value) if isinstance(key, yaml.ScalarNode) and key.value else "that is no plain text"
