"""``hpo adapt``: a trained learner on a task of one's own."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hpo.cli.export import write_file
from hpo.cli.options import examples
from hpo.cli.terminal import say
from hpo.errors import InputError

_FILE = click.Path(path_type=Path)


@click.command(
    epilog=examples(
        "hpo export quickstart --learner best",
        "hpo adapt best --support support.csv --query query.csv -o predictions.csv",
    )
)
@click.argument("learner", metavar="FOLDER", type=_FILE)
@click.option("--support", required=True, type=_FILE, metavar="FILE", help="Examples with their labels or values.")
@click.option("--query", required=True, type=_FILE, metavar="FILE", help="What is to be predicted.")
@click.option("-o", "--output", default="-", show_default=True, metavar="FILE", help="Where to; - is standard output.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Of the inner loop.  [default: its study's]")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
def adapt(learner: Path, support: Path, query: Path, output: str, steps: int | None, force: bool) -> None:
    """Adapt the learner that hpo export --learner wrote to FOLDER to a task of yours, and predict.

    Files are CSV, TSV or Parquet, with the columns that the tasks it was trained on have: text and label; image (a
    file's path) and label; or time and value, of one series. The predictions are the query's rows with more columns.
    """
    target = None if output == "-" else Path(output)
    if target is not None and target.exists() and not force:
        raise InputError(f"{target} exists: give another name with -o, or --force to replace it")
    from hpo.meta.exported import ExportedLearner
    from hpo.meta.tasks.tables import read_file

    trained = ExportedLearner.load(learner)
    adapted = trained.adapt(read_file(support, "--support: "), steps)
    asked = read_file(query, "--query: ")
    predictions = adapted.predict(asked)
    written = as_csv({**asked.columns, **{_free(name, asked.columns): of for name, of in predictions.items()}})
    if target is None:
        click.echo(written, nl=False)
        return
    write_file(target, written.encode())
    say(f"{target}: {len(asked)} predictions", err=True)


def as_csv(columns: Mapping[str, Sequence[Any]]) -> str:
    """With a header; numbers as Python writes them, so that none is lost."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return lines.getvalue()


def _free(name: str, taken: Mapping[str, Any]) -> str:
    return f"{name} (predicted)" if name in taken else name
