"""``hpo learners``: the meta-learners there are, and what of them can be tuned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import click
from pydantic.fields import FieldInfo

from hpo.cli.options import examples, format_options
from hpo.cli.output import Column, show
from hpo.config.learner import LEARNERS, LearnerConfig
from hpo.config.problems import hint
from hpo.errors import InputError

_LEARNERS = (
    Column("learner.kind", lambda row: row["kind"]),
    Column("what", lambda row: row["what"]),
    Column("tasks", lambda row: row["tasks"]),
)
_FIELDS = (
    Column("field", lambda row: row["field"]),
    Column("default", lambda row: str(row["default"])),
    Column("expected", lambda row: row["expected"]),
    Column("search: {learner: default}", lambda row: row["search"]),
    Column("what", lambda row: row["what"]),
)


@click.command(epilog=examples("hpo learners", "hpo learners maml", "hpo learners maml --json"))
@click.argument("kind", required=False)
@format_options
def learners(kind: str | None, form: str) -> None:
    """The meta-learners that learner.kind can name; with KIND, its fields, their bounds and its default search."""
    if kind is None:
        show([_learner(name, model) for name, model in LEARNERS.items()], _LEARNERS, form)
        return
    if kind not in LEARNERS:
        raise InputError(f"there is no learner {kind!r}{hint(kind, LEARNERS)}")
    show(list(_fields(LEARNERS[kind])), _FIELDS, form)


def _learner(kind: str, model: type[LearnerConfig]) -> dict[str, Any]:
    what = (model.__doc__ or "").partition("\n")[0].replace("``", "")
    return {"kind": kind, "what": what, "tasks": "classes" if model.needs_classes else "classes, real values"}


def _fields(model: type[LearnerConfig]) -> Iterator[dict[str, Any]]:
    for name, field in model.model_fields.items():
        if name != "kind":
            yield {
                "field": f"learner.{name}",
                "default": field.default,
                "expected": _expected(field),
                "search": _dimension(model.default_search.get(name)),
                "what": field.description or "",
            }


def _expected(field: FieldInfo) -> str:
    """``0.0 < float <= 100.0``, or the choices."""
    if choices := get_args(field.annotation):
        return ", ".join(map(str, choices))
    name = getattr(field.annotation, "__name__", str(field.annotation))
    low = next((f"{each.ge} <= " for each in field.metadata if getattr(each, "ge", None) is not None), "")
    low = low or next((f"{each.gt} < " for each in field.metadata if getattr(each, "gt", None) is not None), "")
    high = next((f" <= {each.le}" for each in field.metadata if getattr(each, "le", None) is not None), "")
    return f"{low}{name}{high}"


def _dimension(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    if found["type"] == "categorical":
        return ", ".join(map(str, found["choices"]))
    return f"{found['low']} to {found['high']}" + " (log)" * bool(found.get("log"))
