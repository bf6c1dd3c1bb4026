"""``when:`` of a dimension: can it hold, and in which order are the dimensions decided."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Mapping, Sequence

from hpo.config.problems import Problem, hint
from hpo.config.search import CategoricalDimension, Dimension, Value, occurs

Rejection = Callable[[str, Value], str | None]  # why the field at a path cannot have a value


def condition_problems(
    path: str, dimension: Dimension, search: Mapping[str, Dimension], fields: Sequence[str], rejection: Rejection
) -> list[Problem]:
    """Conditions of the dimension at ``path`` that name no field, or a value that the field never has."""
    problems = []
    for other, values in dimension.when.items():
        location = ("search", path, "when", other)
        if other not in fields:
            problems.append(Problem(location, f"no field {other!r} to depend on{hint(other, fields)}"))
            continue
        for i, value in enumerate(values):
            parent = search.get(other)
            message = rejection(other, value) if parent is None else _never(other, parent, value)
            if message is not None:
                problems.append(Problem((*location, i), message))
    return problems


def _never(other: str, parent: Dimension, value: Value) -> str | None:
    if parent.values is None:
        return f"{other} varies continuously: a condition needs a field with separate values"
    if occurs(parent, value):
        return None
    if isinstance(parent, CategoricalDimension):
        return f"{other} is never {value!r}{hint(value, parent.choices)}"
    step = "" if parent.step in (None, 1) else f" in steps of {parent.step}"
    return f"{other} is never {value!r}: it goes from {parent.low} to {parent.high}{step}"


def circle_problems(search: Mapping[str, Dimension]) -> list[Problem]:
    """Conditions that wait for each other; one circle is reported, where there are several."""
    try:
        in_order(search)
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]
        return [Problem(("search", circle[0], "when"), f"conditions form a circle: {' needs '.join(circle)}")]
    return []


def in_order(search: Mapping[str, Dimension]) -> list[str]:
    """The paths as the config has them, but each after those that its conditions name.

    Raises graphlib.CycleError.
    """
    parents = {path: {other for other in dimension.when if other in search} for path, dimension in search.items()}
    graphlib.TopologicalSorter(parents).prepare()
    ordered: dict[str, None] = {}
    while len(ordered) < len(parents):
        ordered[next(path for path in parents if path not in ordered and parents[path] <= ordered.keys())] = None
    return list(ordered)
