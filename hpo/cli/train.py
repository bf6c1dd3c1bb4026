"""``hpo train``: one config with several seeds on the meta-test tasks, or two configs against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from hpo.cli import comparison, text
from hpo.cli.options import examples, json_option
from hpo.cli.output import Column, plain_table, to_json
from hpo.cli.preflight import require_data, require_device, require_packages
from hpo.cli.seeds import SeedPool, SeedRun, processes_for, with_seeds
from hpo.cli.terminal import say
from hpo.config import TrialConfig, load_study_config
from hpo.errors import HpoError, InputError
from hpo.meta.seed_process import SeedFailure, SeedResult, TaskScores
from hpo.records import Estimate, Report


class TrainingFailed(HpoError):
    """A seed gave no result."""


@dataclass(frozen=True)
class Scores:
    """What each of several seeds measured; arrays (seeds, tasks)."""

    loss: comparison.Values
    accuracy: comparison.Values | None
    steps: tuple[int, ...]  # that each was adapted or trained with

    @classmethod
    def of(cls, tested: Sequence[TaskScores]) -> Scores:
        """One for each seed."""
        accuracies = [one.accuracy for one in tested if one.accuracy is not None]
        accuracy = np.array(accuracies) if accuracies else None
        return cls(np.array([one.loss for one in tested]), accuracy, tuple(one.steps for one in tested))


@dataclass(frozen=True)
class ConfigScores:
    """One config's seeds, and the baselines on the same tasks."""

    label: str
    seeds: tuple[int, ...]
    adapted: Scores
    baselines: Mapping[str, Scores]
    profiles: tuple[dict[str, float], ...] = ()  # of each seed, where asked for


@click.command(
    epilog=examples(
        "hpo train best.yaml",
        "hpo train best.yaml default.yaml --seeds 5 --device cuda:0",
        "hpo train best.yaml --profile",
    )
)
@click.argument("configs", metavar="CONFIG [OTHER]", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="How many, from training.seed up."
)
@click.option("--device", metavar="cpu|cuda:N", help="The device to train on.  [default: the first GPU, else the CPU]")
@click.option("--profile", is_flag=True, help="Show where the time of the meta-training goes.")
@json_option
def train(configs: tuple[Path, ...], seeds: int, device: str | None, profile: bool, as_json: bool) -> None:
    """Meta-train CONFIG with several seeds and test it on tasks that nothing was chosen on.

    A search section is ignored: the values in the other sections count. With OTHER, both are trained and tested on the
    same tasks, and the difference is shown with its standard error.
    """
    if len(configs) > 2:
        raise click.UsageError(f"found {len(configs)} configs, expected one, or two to compare")
    if len(set(configs)) < len(configs):
        raise click.UsageError(f"found {configs[0]} twice, expected two configs to compare")
    loaded = [_load(path) for path in configs]
    if len(loaded) == 2:
        _require_same_tests(" and ".join(map(str, configs)), *loaded)
    device = require_device(device)
    runs = [run for path, config in zip(configs, loaded, strict=True) for run in with_seeds(str(path), config, seeds)]
    tested = _collect(runs, _train(runs, device, profile=profile))
    say(to_json(as_record(tested)) if as_json else as_text(tested))


def _load(path: Path) -> TrialConfig:
    config = load_study_config(path)
    require_packages(config)
    trial = config.trial_config({})
    require_data([trial.tasks])
    return trial


def _require_same_tests(where: str, first: TrialConfig, second: TrialConfig) -> None:
    """Different tasks make losses that cannot be compared."""
    if first.tasks != second.tasks:
        raise InputError(f"{where} have different tasks sections: only configs for the same tasks can be compared")
    if first.training.test_tasks != second.training.test_tasks:
        found = f"{first.training.test_tasks} and {second.training.test_tasks}"
        raise InputError(f"{where} have different training.test_tasks ({found}): make them equal")


def _train(runs: Sequence[SeedRun], device: str, *, profile: bool) -> list[SeedResult | SeedFailure]:
    processes, threads = processes_for(device, len(runs))
    say(f"{len(runs)} trainings on {device}, {processes} at a time, {threads} threads each", err=True)
    return SeedPool(device, threads, processes, _say, profile=profile).train(runs)


def _say(run: SeedRun, report: Report) -> None:
    done = f"{report.meta_iteration}/{run.config.training.meta_iterations}"
    found = f"{run.config.objective.metric} {text.of(report.objective)} on the validation tasks"
    say(f"{run.label} seed {run.seed}: {done}  {found}  {text.duration(report.seconds)}", err=True)


def _collect(runs: Sequence[SeedRun], results: Sequence[SeedResult | SeedFailure]) -> list[ConfigScores]:
    failures = [
        f"{run.label} seed {run.seed}: {result.outcome}: {result.reason}"
        for run, result in zip(runs, results, strict=True)
        if isinstance(result, SeedFailure)
    ]
    if failures:
        listed = "\n".join(failures)
        raise TrainingFailed(f"{len(failures)} of {len(runs)} trainings gave no result, so there is no mean:\n{listed}")
    pairs = [(run, result) for run, result in zip(runs, results, strict=True) if isinstance(result, SeedResult)]
    return [_tested(label, [pair for pair in pairs if pair[0].label == label]) for label in _labels(runs)]


def _labels(runs: Sequence[SeedRun]) -> list[str]:
    return list(dict.fromkeys(run.label for run in runs))


def _tested(label: str, pairs: Sequence[tuple[SeedRun, SeedResult]]) -> ConfigScores:
    results = [result for _, result in pairs]
    return ConfigScores(
        label,
        tuple(run.seed for run, _ in pairs),
        Scores.of([result.adapted for result in results]),
        {
            "without adaptation": Scores.of([result.unadapted for result in results]),
            "from scratch": Scores.of([result.from_scratch for result in results]),
        },
        tuple(result.profile for result in results if result.profile is not None),
    )


def measures(tested: Sequence[Scores]) -> dict[str, list[comparison.Values]]:
    """Measure -> each config's values (seeds, tasks); regression has no accuracy."""
    found = {"loss": [one.loss for one in tested]}
    accuracies = [one.accuracy for one in tested if one.accuracy is not None]
    return found | ({"accuracy": accuracies} if len(accuracies) == len(tested) else {})


def as_record(tested: Sequence[ConfigScores]) -> dict[str, Any]:
    """For programs; a standard error of one seed is over tasks only."""
    record: dict[str, Any] = {"configs": [_config_record(one) for one in tested]}
    if len(tested) == 2:
        record["difference"] = {
            name: comparison.difference(*values).model_dump()
            for name, values in measures([one.adapted for one in tested]).items()
        }
    return record


def _config_record(one: ConfigScores) -> dict[str, Any]:
    values = measures([one.adapted])
    return {
        "config": one.label,
        "tasks": one.adapted.loss.shape[1],
        "seeds": [
            {
                "seed": seed,
                "inner_steps": one.adapted.steps[i],
                **{name: comparison.over_tasks(v[i]).model_dump() for name, (v,) in values.items()},
            }
            for i, seed in enumerate(one.seeds)
        ],
        **_overall(one.adapted),
        "baselines": {
            name.replace(" ", "_"): {"steps": list(scores.steps), **_overall(scores)}
            for name, scores in one.baselines.items()
        },
        **({"profile": mean_profile(one.profiles)} if one.profiles else {}),
    }


def _overall(scores: Scores) -> dict[str, Any]:
    return {name: comparison.overall(v).model_dump() for name, (v,) in measures([scores]).items()}


def as_text(tested: Sequence[ConfigScores]) -> str:
    """A row for each seed and one for each config, then the difference."""
    rows = [row for one in tested for row in _rows(one)]
    columns = [
        Column("config", lambda row: row["config"]),
        Column("seed", lambda row: row["seed"], right=True),
        Column("inner steps", lambda row: row["inner steps"], right=True),
        *(_estimates(name) for name in measures([one.adapted for one in tested])),
    ]
    lines = [f"query set of {tested[0].adapted.loss.shape[1]} meta-test tasks after adaptation, ± standard error"]
    lines.append(plain_table(rows, columns))
    lines.append("from scratch: the same network, trained on each support set alone by so many steps of Adam")
    if len(tested) == 2:
        lines += ["", *_differences(tested)]
    for one in tested:
        if one.profiles:
            lines += ["", *_profile(one)]
    return "\n".join(lines)


def _estimates(name: str) -> Column:
    return Column(name, lambda row: text.of(row[name]))


def _rows(one: ConfigScores) -> list[dict[str, Any]]:
    values = measures([one.adapted])
    seeds = [
        {
            "config": one.label,
            "seed": str(seed),
            "inner steps": str(steps),
            **{name: comparison.over_tasks(v[i]) for name, (v,) in values.items()},
        }
        for i, (seed, steps) in enumerate(zip(one.seeds, one.adapted.steps, strict=True))
    ]
    mean = _mean_row(one.label, "mean", "", one.adapted)
    baselines = [_mean_row(one.label, name, _range(scores.steps), scores) for name, scores in one.baselines.items()]
    return [*seeds, *([mean] if len(seeds) > 1 else []), *baselines]


def _mean_row(label: str, what: str, steps: str, scores: Scores) -> dict[str, Any]:
    overall = {name: comparison.overall(v) for name, (v,) in measures([scores]).items()}
    return {"config": label, "seed": what, "inner steps": steps, **overall}


def _range(steps: Sequence[int]) -> str:
    low, high = min(steps), max(steps)
    return str(low) if low == high else f"{low}-{high}"


def _differences(tested: Sequence[ConfigScores]) -> list[str]:
    lines = [f"{tested[0].label} minus {tested[1].label}, paired by task:"]
    for name, (first, second) in measures([one.adapted for one in tested]).items():
        found = comparison.difference(first, second)
        lines.append(f"  {name:<8}  {text.of(found)}{_verdict(found, better_is_lower=name == 'loss')}")
    if len(tested[0].seeds) == 1:
        lines.append("  with one seed the standard error knows nothing of seeds: use --seeds 3 or more")
    return lines


def _verdict(found: Estimate, better_is_lower: bool) -> str:
    if found.sem == 0.0:
        return ""
    ratio = abs(found.mean) / found.sem
    first_is_better = (found.mean < 0) == better_is_lower
    which = "the first is better" if first_is_better else "the second is better"
    return f"  ({ratio:.1f} standard errors: {which if ratio > 2 else 'no clear difference'})"


def mean_profile(profiles: Sequence[dict[str, float]]) -> dict[str, float]:
    """Seconds by component, the mean over seeds; the largest first, ``other`` last."""
    names = {name for profile in profiles for name in profile}
    means = {name: sum(profile.get(name, 0.0) for profile in profiles) / len(profiles) for name in names}
    return {name: means[name] for name in sorted(means, key=lambda name: (name == "other", -means[name]))}


def _profile(one: ConfigScores) -> list[str]:
    means = mean_profile(one.profiles)
    total = sum(means.values())
    rows = [{"component": name, "seconds": f"{s:.2f}", "share": f"{s / total:.1%}"} for name, s in means.items()]
    columns = [
        Column("component", lambda row: row["component"]),
        Column("seconds", lambda row: row["seconds"], right=True),
        Column("share", lambda row: row["share"], right=True),
    ]
    return [f"meta-training of {one.label}, {text.duration(total)} a seed", plain_table(rows, columns)]
