"""``constraints:`` what a trained config must satisfy beside being good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import Field

from hpo.config.section import Section


class Constraint(NamedTuple):
    """``metric`` is to be at most, or where ``at_least`` at least, ``bound``."""

    metric: str
    bound: float
    at_least: bool

    def __str__(self) -> str:
        return f"{self.metric} at {'least' if self.at_least else 'most'} {as_text(self.bound)}"


class ConstraintsConfig(Section):
    """A bound for each metric that is constrained; a trial that violates one ranks below all that violate none."""

    seconds: float | None = Field(None, gt=0.0, description="at most: of the whole training")
    peak_memory_bytes: float | None = Field(None, gt=0.0, description="at most")
    meta_parameters: float | None = Field(None, gt=0.0, description="at most: numbers that are meta-learned")
    query_loss: float | None = Field(None, gt=0.0, description="at most: after adaptation, on meta-validation tasks")
    query_accuracy: float | None = Field(None, gt=0.0, le=1.0, description="at least: likewise")

    @property
    def each(self) -> tuple[Constraint, ...]:
        """Those that are set."""
        bounds = [(metric, getattr(self, metric)) for metric in type(self).model_fields]
        return tuple(Constraint(*pair, at_least=pair[0] == "query_accuracy") for pair in bounds if pair[1] is not None)


def as_text(value: float) -> str:
    """``0.4312``, ``12.5``, ``2,000,000,000``."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def in_words(config: Mapping[str, Any]) -> str:
    """``seconds at most 60, ...``: the constraints of a study config as it is stored; empty where it has none."""
    return ", ".join(map(str, ConstraintsConfig(**config.get("constraints", {})).each))
