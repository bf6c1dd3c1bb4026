"""Fields that are valid one by one, but not together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpo.config.learner import LearnerConfig
from hpo.config.problems import Problem, dotted
from hpo.config.search import CategoricalDimension, Dimension
from hpo.config.section import Section
from hpo.config.tasks import TasksConfig


def trial_problems(values: Mapping[str, Any]) -> list[Problem]:
    """``values``: dotted path -> value of every field of a trial."""
    evaluated = values["training.eval_steps"]
    return [
        Problem(("training", "eval_steps"), f"found {evaluated}, expected at least {path}, which is {how}{steps}")
        for path, how in (("learner.inner_steps", "up to "), ("objective.inner_steps", ""))
        if evaluated is not None and isinstance(steps := values.get(path), int) and steps > evaluated
    ]


def study_problems(values: Mapping[str, Any], search: Mapping[str, Dimension]) -> list[Problem]:
    """The same for the trials of a study that are worst off, and what concerns the study only."""
    worst = {**values, **{path: _range(dimension)[1] for path, dimension in search.items()}}
    if (evaluated := search.get("training.eval_steps")) is not None:
        worst["training.eval_steps"] = _range(evaluated)[0]
    problems = [_where_searched(problem, search) for problem in trial_problems(worst)]
    if values["stop.confirm"] and "training.seed" in search:
        message = (
            f"found {values['stop.confirm']}, expected 0 where training.seed is searched: a seed is the config then"
        )
        problems.append(Problem(("stop", "confirm"), message))
    kind = values["sampler.kind"]
    if values["stop.when_settled"] and kind != "gp_ei":
        message = f"found true, expected false with sampler.kind {kind}: only gp_ei says what it expects"
        problems.append(Problem(("stop", "when_settled"), message))
    if values["stop.when_settled"] and values["objective.against"]:
        message = "found true, expected false with objective.against: what is left to gain is not said of fronts"
        problems.append(Problem(("stop", "when_settled"), message))
    if values["pruner.kind"] != "none" and values["objective.against"]:
        message = (
            f"found {values['pruner.kind']}, expected none with objective.against: it compares the objective alone,"
            " and would end what is worse but cheap"
        )
        problems.append(Problem(("pruner", "kind"), message))
    first, last = values["pruner.min_iterations"], worst["training.meta_iterations"]
    if values["pruner.kind"] == "none" or first is None or first <= last:
        return problems
    message = f"found {first}, expected at most training.meta_iterations ({last}): no trial would be pruned"
    return [*problems, Problem(("pruner", "min_iterations"), message)]


def _where_searched(problem: Problem, search: Mapping[str, Dimension]) -> Problem:
    path = dotted(problem.location)
    return problem._replace(location=("search", path)) if path in search else problem


def _range(dimension: Dimension) -> tuple[Any, Any]:
    if isinstance(dimension, CategoricalDimension):
        return min(dimension.choices, key=_rank), max(dimension.choices, key=_rank)
    return dimension.low, dimension.high


def _rank(choice: object) -> float:
    return choice if isinstance(choice, int | float) else 0.0


def metric_problems(metric: str, tasks: Mapping[str, type[Section]]) -> list[Problem]:
    """Task families that do not have the study's metric."""
    return [
        Problem(
            ("objective", "metric"),
            f"found {metric!r}, which {kind} tasks do not have, expected {' or '.join(model.metrics)}",
        )
        for kind, model in _lacking(metric, tasks)
    ]


def learner_problems(learners: Mapping[str, type[Section]], tasks: Mapping[str, type[Section]]) -> Iterator[Problem]:
    """Learners that tell classes apart, where there are none."""
    without_classes = [kind for kind, _ in _lacking("query_accuracy", tasks)]
    for kind, model in learners.items():
        if without_classes and issubclass(model, LearnerConfig) and model.needs_classes:
            message = f"{kind} needs tasks with classes: {without_classes[0]} tasks have real values as targets"
            yield Problem(("learner", "kind"), message)


def constraint_problems(
    constrained: Sequence[str], objective: str, tasks: Mapping[str, type[Section]]
) -> Iterator[Problem]:
    """Constraints on what is optimized already, and on what task families do not have."""
    if objective in constrained:
        yield Problem(("constraints", objective), f"found a bound, expected none: {objective} is the objective itself")
    for metric in constrained:
        for kind, _ in _lacking(metric, tasks) if metric in TasksConfig.metrics else ():
            yield Problem(("constraints", metric), f"found a bound, expected none: {kind} tasks have no {metric}")


def _lacking(metric: str, tasks: Mapping[str, type[Section]]) -> list[tuple[str, type[TasksConfig]]]:
    return [
        (kind, model) for kind, model in tasks.items() if issubclass(model, TasksConfig) and metric not in model.metrics
    ]
