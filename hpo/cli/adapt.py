"""``hpo adapt``: a trained learner on a task of one's own."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.files import require_free, write_file
from hpo.cli.options import examples
from hpo.cli.terminal import say

if TYPE_CHECKING:
    from hpo.meta.exported import ExportedLearner
    from hpo.meta.tasks import Episode

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
@click.option("--memory", metavar="URL", help="Database where a memory_bank learner keeps its tasks.")
def adapt(
    learner: Path, support: Path, query: Path, output: str, steps: int | None, force: bool, memory: str | None
) -> None:
    """Adapt the learner that hpo export --learner wrote to FOLDER to a task of yours, and predict.

    Files are CSV, TSV or Parquet, with the columns that the tasks it was trained on have: text and label; image (a
    file's path) and label; or time and value, of one series. The predictions are the query's rows with more columns.
    """
    target = None if output == "-" else Path(output)
    if target is not None:
        require_free(target, "-o", force)
    from hpo.meta.exported import ExportedLearner
    from hpo.meta.tasks.tables import read_file

    trained = ExportedLearner.load(learner)
    known, asked = read_file(support, "--support: "), read_file(query, "--query: ")
    with _remembering(trained, memory) as remember:
        adapted = trained.adapt(known, steps)
        predictions = adapted.predict(asked)
        remember(adapted.task.support)
    written = as_csv({**asked.columns, **{_free(name, asked.columns): of for name, of in predictions.items()}})
    if target is None:
        click.echo(written, nl=False)
        return
    write_file(target, written.encode())
    say(f"{target}: {len(asked)} predictions", err=True)


@contextmanager
def _remembering(trained: ExportedLearner, url: str | None) -> Iterator[Callable[[Episode], None]]:
    """With a database the learner knows the tasks in it; what is given is then remembered there."""
    if url is None:
        yield lambda support: None
        return
    from hpo.meta.remembered import Remembered
    from hpo.results import store
    from hpo.results.engine import connect

    bank = Remembered(trained)
    with connect(url, create=True) as database:
        bank.recall(store.recall_tasks(database, bank.fingerprint))
        yield lambda support: store.remember_tasks(database, bank.fingerprint, bank.remember(support))


def as_csv(columns: Mapping[str, Sequence[Any]]) -> str:
    """With a header; numbers as Python writes them, so that none is lost."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return lines.getvalue()


def _free(name: str, taken: Mapping[str, Any]) -> str:
    return f"{name} (predicted)" if name in taken else name
