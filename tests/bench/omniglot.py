"""Error on Omniglot's 20 official one-shot runs: ``python -m tests.bench.omniglot`` (at most two CPU hours).

Each learner is tuned by a study of this service, launched and exported as a user would: omniglot.yaml, where its kind
stands in, searched on the small background sets (8 alphabets). The trained learner of the study's best trial then reads
the 20 runs (Lake et al. 2015: 20-way, 1-shot, within one alphabet of the evaluation set), which no search has seen. The
standard error is over the runs. Archives are found or downloaded as those of every study are (HPO_DATA_DIR).

CPU time is that of all processes of a launch. ``--hours`` are shared alike; a study is told to stop by the seconds of
its trainings, which last as long as their CPU time where a core is theirs, and longer where it is not.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from hpo.meta.evaluate import estimate, task_curves
from hpo.meta.exported import ExportedLearner
from hpo.meta.tasks.omniglot_runs import WAYS, official_runs
from hpo.results import queries
from hpo.results.engine import connect
from hpo.results.rows import BestRow

STUDY = Path(__file__).with_suffix(".yaml")
LEARNERS = ("prototypical", "matching", "metaoptnet", "maml")
# Of 20 ways and one shot, a support loss is a mean over 20 characters. A MAML that is trained for 150 to 200 meta-
# iterations has an error of 93% with an inner rate of 0.3 (chance is 95), and of 80 to 83 with one of 5 to 20; the
# default search ends at 10.
SEARCH = {"maml": {"learner.inner_lr": {"type": "float", "low": 1.0, "high": 50.0, "log": True}}}
HOURS = 1.8  # what is not training and what trials take to end comes on top
CHANCE = 1.0 - 1.0 / WAYS
UNVERIFIED = "published, from memory, not verified"
# Lake, Salakhutdinov & Tenenbaum 2019, arXiv:1902.03477: errors in percent, of the split with the small sets only.
PUBLISHED = {"people": 4.5, "Bayesian program learning": 4.2, "ConvNet": 23.2, "Prototypical Networks": 30.1}


def study_of(learner: str, hours: float, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The study config of one learner; ``changes`` by section."""
    raw = yaml.safe_load(STUDY.read_text())
    raw |= {"name": f"omniglot-{learner}", "learner": {"kind": learner}, "stop": {**raw["stop"], "hours": hours}}
    raw["search"] |= SEARCH.get(learner, {})
    return {**raw, **{section: {**raw[section], **own} for section, own in changes.items()}}


def hpo(folder: Path, *arguments: str) -> None:
    """A command of this service, its database and checkpoints in ``folder``; its messages go to standard error."""
    environment = {
        **os.environ,
        "HPO_STORAGE": storage(folder),
        "HPO_HOME": str(folder / ".hpo"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "hpo.cli.main", *arguments]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def storage(folder: Path) -> str:
    return f"sqlite:///{folder / 'hpo.db'}"


def cpu_seconds() -> float:
    """Of all child processes so far, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A learner's row: its study, the best trial, the errors on the runs."""
    name, exported, began = config["name"], folder / config["learner"]["kind"], cpu_seconds()
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    hpo(folder, "launch", str(path))
    used = cpu_seconds() - began
    hpo(folder, "export", name, "--learner", str(exported))
    with connect(storage(folder)) as database:
        (best,) = queries.best(database, name)
        outcomes = Counter(trial.outcome for trial in queries.study_trials(database, name))
    return {"learner": config["learner"]["kind"], "outcomes": dict(outcomes), "cpu_seconds": used} | scored(
        best, exported
    )


def scored(best: BestRow, exported: Path) -> dict[str, Any]:
    """Of the best trial; errors in percent with their standard errors, over validation tasks and over the runs."""
    errors = estimate(100.0 * one_shot_errors(exported))
    return {
        "trial": best.number,
        "parameters": dict(best.parameters),
        "validation_error": [100.0 * (1.0 - best.value), 100.0 * (best.sem or math.nan)],
        "error": [errors.mean, errors.sem],
    }


def one_shot_errors(exported: Path) -> NDArray[np.float64]:
    """The share of wrong answers in each of the runs, by a learner that ``hpo export --learner`` wrote; (runs,)."""
    found = ExportedLearner.load(exported)
    accuracy = task_curves(found.learner, found.meta, official_runs(), [found.learner.inner_steps]).accuracy
    assert accuracy is not None  # there are classes
    return 1.0 - accuracy[0]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """For a README: what was measured, then chance and what was published."""
    heading = ["", "trials (pruned)", "CPU minutes", "validation error, %", "error on the 20 runs, %", "best config"]
    lines = [heading, ["---"] * len(heading), *map(_cells, rows)]
    lines += [["chance", "", "", "", f"{100.0 * CHANCE:.0f}", ""]]
    lines += [[who, "", "", "", f"{error:g}", UNVERIFIED] for who, error in PUBLISHED.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    trials, pruned = sum(row["outcomes"].values()), row["outcomes"].get("pruned", 0)
    errors = ["{:.1f} ± {:.1f}".format(*row[which]) for which in ("validation_error", "error")]
    return [row["learner"], f"{trials} ({pruned})", f"{row['cpu_seconds'] / 60:.1f}", *errors, _config(row)]


def _config(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{path.partition('.')[2]} {_short(value)}" for path, value in sorted(row["parameters"].items()))


def _short(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", nargs="+", default=LEARNERS, metavar="KIND", help="default: %(default)s")
    parser.add_argument("--hours", type=float, default=HOURS, help="of training, of all learners together; %(default)s")
    parser.add_argument("--trials", type=int, help="of each learner at most, instead of the config's")
    parser.add_argument("--meta-iterations", type=int, help="of a trial, instead of the config's")
    parser.add_argument("--json", action="store_true", help="one line for each learner instead of the table")
    given = parser.parse_args(arguments)
    asked = {"stop": {"trials": given.trials}, "training": {"meta_iterations": given.meta_iterations}}
    changes = {section: {key: value for key, value in own.items() if value} for section, own in asked.items()}
    hours = given.hours / len(given.learners)
    with tempfile.TemporaryDirectory(prefix="hpo-omniglot-") as folder:
        rows = [measured(study_of(learner, hours, changes), Path(folder)) for learner in given.learners]
    print("\n".join(map(json.dumps, rows)) if given.json else markdown(rows))


if __name__ == "__main__":
    main()
