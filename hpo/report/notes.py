"""Notes of trials and studies in Markdown, as optuna-dashboard shows them beside Optuna's own data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from hpo.config.constraints import in_words
from hpo.records import AdaptationCurve, CurvePoint
from hpo.report import text
from hpo.report.markdown import code, escape, fenced, table
from hpo.results.rows import StudyRow, TrialDetail
from hpo.tradeoffs import traded_against

_SHORT_REASON = 120  # longer ones, and those of several lines, get a block of their own
_LONGEST_REASON = 2000
_COLUMNS = 80  # of a config: longer lines make the whole page scroll sideways
_HOW_TO_READ = """\
* Every trial that has ended has a note with its outcome, resolved config and adaptation curve.
* Query loss and accuracy are measured on the query examples of the same meta-validation tasks for every trial, after \
the inner loop has adapted the network to the support examples. ± is one standard error over tasks: two trials closer \
than about two of them are not told apart.
* *Best Trial* on the study's page has the best single value, which may be luck; `hpo best` and the adaptation figure \
rank confirmed configs first, by the mean over new seeds, then by the surrogate's posterior mean where it is known.
* A pruned trial was ended early because its intermediate values fell behind; a failed one says why in its note. Both \
tell the sampler where not to look."""


def image_path(study_id: int, trial_id: int) -> str:
    """Where `hpo dashboard` serves the adaptation curve of a trial."""
    return f"/hpo/adaptation/{study_id}/{trial_id}.svg"


def trained_steps(config: Mapping[str, Any] | None) -> int | None:
    """The inner steps that a trial was meta-trained for; None where its learner has no such number."""
    steps = ((config or {}).get("learner") or {}).get("inner_steps")
    return steps if isinstance(steps, int) else None


def trial_note(detail: TrialDetail, metric: str) -> str:
    """What happened in a trial that has ended, with which config, and how well it adapts."""
    return "\n\n".join(_trial_parts(detail, metric))


def _trial_parts(detail: TrialDetail, metric: str) -> Iterator[str]:
    (name, outcome), *facts = _facts(detail, metric)
    yield table([name, outcome], facts)
    reason = _reason(detail)
    if reason and not _is_short(reason):
        yield f"**Reason**\n\n{fenced(reason[:_LONGEST_REASON])}"
    for curve in detail.curves:
        yield f"**Adaptation** on {curve.tasks} meta-{escape(curve.split)} tasks"
        if curve is detail.curves[0]:
            yield f"![adaptation curve]({image_path(detail.trial.study_id, detail.trial.trial_id)})"
        yield _curve_table(curve, detail.trial.objective_inner_steps or trained_steps(detail.config))
    if detail.config is not None:
        yield f"**Config**, resolved\n\n{fenced(_config_yaml(detail.config, detail.trial.parameters), 'yaml')}"


def _reason(detail: TrialDetail) -> str:
    return (detail.trial.reason or "").strip()


def _is_short(reason: str) -> bool:
    return len(reason) <= _SHORT_REASON and "\n" not in reason


def _facts(detail: TrialDetail, metric: str) -> Iterator[tuple[str, str]]:
    trial = detail.trial
    yield "outcome", f"**{escape(trial.outcome or trial.state.lower())}**"
    if (reason := _reason(detail)) and _is_short(reason):
        yield "reason", escape(reason)
    if trial.value is not None:
        yield escape(metric), f"**{text.estimate(trial.value, trial.sem)}**{text.after(trial.objective_inner_steps)}"
    if trial.violated is not None:
        yield "violates", escape(trial.violated)
    if trial.confirms is not None:
        yield "confirms", f"trial {trial.confirms}, with seed {trial.seed}"
    if trial.seconds is not None:
        iterations = "" if trial.meta_iterations is None else f" for {trial.meta_iterations} meta-iterations"
        yield "time", text.duration(trial.seconds) + iterations
    if trial.device is not None:
        yield "device", escape(trial.device if trial.host is None else f"{trial.device} on {trial.host}")
    if trial.peak_memory_bytes:
        yield "peak memory", text.memory(trial.peak_memory_bytes)
    if trial.gradients is not None:
        yield "gradients", escape(trial.gradients)
    if trial.attempts is not None and trial.attempts > 1:
        yield "attempts", f"{trial.attempts}: its worker or runner died before"


def _curve_table(curve: AdaptationCurve, marked: int | None) -> str:
    has_accuracy = any(point.accuracy for point in curve.points)
    # The dashboard draws tables without lines or padding: the space keeps two numbers apart.
    heading = ["inner steps", "&emsp;query loss&emsp;", *(["query accuracy"] if has_accuracy else [])]
    return table(heading, (_curve_row(point, marked, has_accuracy) for point in curve.points), rule=":-:")


def _curve_row(point: CurvePoint, marked: int | None, has_accuracy: bool) -> list[str]:
    cells = [str(point.inner_step), text.of(point.loss), *([text.of(point.accuracy)] if has_accuracy else [])]
    return [f"**{cell}**" for cell in cells] if point.inner_step == marked else cells


def _config_yaml(config: Mapping[str, Any], searched: Mapping[str, Any]) -> str:
    """The config as YAML: a line a field where searched fields are to be marked, else as few lines as there can be."""
    lines = []
    for section, fields in config.items():
        if not isinstance(fields, dict) or not any(f"{section}.{field}" in searched for field in fields):
            lines.append(_flow({section: fields}))
            continue
        lines.append(f"{section}:")
        for field, value in fields.items():
            mark = "  # searched" if f"{section}.{field}" in searched else ""
            lines.append(textwrap.indent(_flow({field: value}), "  ") + mark)
    return "\n".join(lines)


def _flow(pair: Mapping[str, Any]) -> str:
    """``{"a": {"b": 1}}`` -> ``a: {b: 1}``."""
    written: str = yaml.safe_dump(
        dict(pair), default_flow_style=True, sort_keys=False, allow_unicode=True, width=_COLUMNS
    )
    return written.strip()[1:-1]


def study_note(row: StudyRow, verdicts: Mapping[str, str]) -> str:
    """What is tuned, for what objective, how, which config is best, and how to read the pages.

    ``verdicts``: hpo.report.verdicts.Verdicts.sentences.
    """
    best = [f"## Best\n\n{table(['best by', ''], [[name, escape(said)] for name, said in verdicts.items()])}"]
    return "\n\n".join(
        [
            f"# {escape(row.name)}",
            table(["objective", _objective(row)], _study_facts(row.config)),
            *(best if verdicts else []),
            f"## Searched\n\n{_search_table(_section(row.config, 'search'))}",
            f"## How to read it\n\n{_HOW_TO_READ}",
        ]
    )


def _objective(row: StudyRow) -> str:
    tasks = _section(row.config, "training").get("eval_tasks")
    measured = f"{row.direction} {code(row.metric)} on {tasks or 'the'} meta-validation tasks, after adaptation"
    match _section(row.config, "objective").get("inner_steps", "trained"):
        case "trained":
            return measured
        case "best":
            return f"{measured} with the number of inner steps that is best there"
        case given:
            return f"{measured} with {given} inner steps"


def _study_facts(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    # From the config as it is stored: to check it again would import a task family that lies on another machine.
    tasks, training = _section(config, "tasks"), _section(config, "training")
    options = ", ".join(f"{name} {value}" for name, value in tasks.items() if name != "kind")
    yield "tasks", f"{code(str(tasks.get('kind')))}: {escape(options)}"
    if against := traded_against(config):
        yield "traded against", ", ".join(map(code, against))
    if constraints := in_words(config):
        yield "constraints", escape(constraints)
    yield "learner", _kind(config, "learner")
    yield "sampler, pruner", f"{_kind(config, 'sampler')}, {_kind(config, 'pruner')}"
    stop = _section(config, "stop")
    yield "trials", f"{stop.get('trials')} of {training.get('meta_iterations')} meta-iterations each"
    if stop.get("confirm"):
        yield "confirmation", f"of the {stop['confirm']} likely best, with {stop.get('confirm_seeds')} new seeds each"


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _kind(config: Mapping[str, Any], section: str) -> str:
    return code(str(_section(config, section).get("kind")))


def _search_table(search: Mapping[str, Any]) -> str:
    rows = [[code(path), _range(search[path]), _condition(search[path].get("when") or {})] for path in search]
    return table(["field", "values", "only where"], rows) if rows else "Nothing: every trial has the same config."


def _range(dimension: Mapping[str, Any]) -> str:
    if "choices" in dimension:
        return _choices(dimension["choices"])
    step = f", step {dimension['step']}" if dimension.get("step") not in (None, 1) else ""
    return f"{dimension.get('low')} to {dimension.get('high')}{', logarithmic' if dimension.get('log') else ''}{step}"


def _condition(when: Mapping[str, Sequence[Any]]) -> str:
    return " and ".join(f"{code(field)} is {_choices(values)}" for field, values in when.items())


def _choices(values: Sequence[Any]) -> str:
    return " or ".join(code(str(value)) for value in values)
