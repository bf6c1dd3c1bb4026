"""A user's texts, sorted into classes and the classes into splits."""

from __future__ import annotations

from dataclasses import dataclass

from hpo.config.tasks import TextConfig
from hpo.errors import InputError
from hpo.meta.tasks.base import Split
from hpo.meta.tasks.divide import divide
from hpo.meta.tasks.tables import Table, read_table
from hpo.meta.tasks.tables.cells import names, texts

Class = tuple[str, str]  # domain, label; a domain of no name where splits are by label


@dataclass(frozen=True)
class Corpus:
    """Texts by class, and which classes one task may hold together.

    classes  class -> its texts, none twice
    groups   of every split: classes of one domain, or all of its labels
    """

    classes: dict[Class, list[str]]
    groups: dict[Split, list[list[Class]]]


def read_corpus(config: TextConfig) -> Corpus:
    """From the file; raises InputError where it is bad or holds too little for ``config``."""
    by_domain = config.split_by == "domain"
    options = ["text_column", "label_column", *["domain_column"] * by_domain]
    table = read_table(config.file, {option: getattr(config, option) for option in options})
    labels = names(table, config.label_column)
    domains = names(table, config.domain_column) if by_domain else [""] * len(table)
    rows = _rows_by_class(texts(table, config.text_column), list(zip(domains, labels, strict=True)))
    _check_enough_texts(table, rows, config.shots + config.queries)
    classes = {name: list(of) for name, of in rows.items()}
    if not by_domain:
        parts = divide((label for _, label in classes), config, f"labels in {table.path}")
        return Corpus(classes, {split: [[("", label) for label in found]] for split, found in parts.items()})
    _check_enough_labels(table, classes, config.ways)
    parts = divide((domain for domain, _ in classes), config, f"domains in {table.path}")
    return Corpus(classes, {split: [_of_domain(domain, classes) for domain in of] for split, of in parts.items()})


def _rows_by_class(found: list[str], classes: list[Class]) -> dict[Class, dict[str, int]]:
    """Class -> text -> the row that has it first; in an order that does not depend on that of the rows."""
    rows: dict[Class, dict[str, int]] = {name: {} for name in sorted(set(classes))}
    for row, (text, name) in enumerate(zip(found, classes, strict=True)):
        rows[name].setdefault(text, row)
    return {name: dict(sorted(of.items())) for name, of in rows.items()}


def _of_domain(domain: str, classes: dict[Class, list[str]]) -> list[Class]:
    return [name for name in classes if name[0] == domain]


def _check_enough_texts(table: Table, rows: dict[Class, dict[str, int]], needed: int) -> None:
    for (domain, label), of in rows.items():
        if len(of) < needed:
            where = f" in the domain {domain!r}" if domain else ""
            raise InputError(
                f"{table.path}: the label {label!r}{where} has {_counted(len(of), 'different text')} (the first in"
                f" {table.place(min(of.values()))}), expected at least {needed}: tasks.shots + tasks.queries"
            )


def _check_enough_labels(table: Table, classes: dict[Class, list[str]], ways: int) -> None:
    for domain in dict.fromkeys(domain for domain, _ in classes):
        labels = [label for _, label in _of_domain(domain, classes)]
        if len(labels) < ways:
            raise InputError(
                f"{table.path}: the domain {domain!r} has {_counted(len(labels), 'label')} ({', '.join(labels)}),"
                f" expected at least {ways}: tasks.ways"
            )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
