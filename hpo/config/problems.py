"""What is wrong with a config, in words for the person who wrote it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import NamedTuple, ParamSpec, TypeVar

from hpo.errors import ConfigError

Location = tuple[str | int, ...]  # ("learner", "inner_lr"), ("search", "model.hidden_size", "low")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Problem(NamedTuple):
    """One thing that is wrong, and where in the config."""

    location: Location
    message: str
    line: int | None = None  # where the location alone does not tell

    def __str__(self) -> str:
        where = dotted(self.location)
        return f"{where}: {self.message}" if where else self.message


class InvalidConfig(ConfigError):
    """Carries the problems from validation to the loader, which knows file and lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def collect(
    problems: list[Problem], check: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result | None:
    """The result of ``check``; None with its problems added to ``problems`` where it raises InvalidConfig."""
    try:
        return check(*args, **kwargs)
    except InvalidConfig as invalid:
        problems += invalid.problems
        return None


def dotted(location: Location) -> str:
    """``("learner", "inner_lr")`` -> ``learner.inner_lr``."""
    return ".".join(str(part) for part in location)


def nearest(name: object, known: Iterable[object]) -> str | None:
    """The known name that ``name`` was probably meant to be, case aside."""
    by_lower = {str(candidate).lower(): str(candidate) for candidate in known}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """``; did you mean 'x'?``, or nothing where no known name is near."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""


def hint(name: object, known: Iterable[object]) -> str:
    """``; did you mean 'x'?`` where a known name is near, else the names that there are."""
    names = [str(candidate) for candidate in known]
    return did_you_mean(name, names) or (f"; expected one of: {', '.join(names)}" if names else "")
