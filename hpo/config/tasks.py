"""``tasks:`` which family of few-shot tasks a trial learns from."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from hpo.config.section import Section


class TasksConfig(Section):
    """Base of every task family's options; a family adds its own fields."""

    # What a study can be judged by, for the checks of `objective.metric`; a regression has no accuracy.
    metrics: ClassVar[tuple[str, ...]] = ("query_loss", "query_accuracy")

    kind: str
    shots: int = Field(5, ge=1, le=1000, description="support examples a class (classification) or a task (regression)")
    queries: int = Field(10, ge=1, le=1000, description="query examples a class or a task")


class LanguageIdConfig(TasksConfig):
    """Name the language of a few words, given a few examples a language."""

    kind: Literal["language_id"]
    ways: int = Field(5, ge=2, le=7, description="languages in one task")
    words: int = Field(3, ge=1, le=20, description="words in one example")


class SinusoidConfig(TasksConfig):
    """Predict a later value of a task's sine wave from a window of the unit wave sin(x)."""

    metrics: ClassVar[tuple[str, ...]] = ("query_loss",)

    kind: Literal["sinusoid"]
    window: int = Field(10, ge=2, le=1000, description="samples of sin(x) that are read")
    horizon: int = Field(5, ge=1, le=1000, description="samples between the window's end and the value to predict")
    spacing: float = Field(0.1, gt=0.0, le=10.0, description="distance of two samples on the x axis")


TASKS: dict[str, type[TasksConfig]] = {"language_id": LanguageIdConfig, "sinusoid": SinusoidConfig}
