"""``tasks:`` which family of few-shot tasks a trial learns from."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from hpo.config.section import Section

LONGEST_WORD = 14  # letters of a word that language_id takes


class TasksConfig(Section):
    """Base of every task family's options; a family adds its own fields."""

    # What a study can be judged by, for the checks of `objective.metric`; a regression has no accuracy.
    metrics: ClassVar[tuple[str, ...]] = ("query_loss", "query_accuracy")

    kind: str
    shots: int = Field(5, ge=1, le=1000, description="support examples a class (classification) or a task (regression)")
    queries: int = Field(10, ge=1, le=1000, description="query examples a class or a task")

    def examples_a_task(self) -> int:
        """Support and query together, for the prediction of a trial's memory."""
        return self.shots + self.queries

    def longest_example(self) -> int:
        """Time steps, likewise; a family of one's own that does not say so is predicted too little at first."""
        return 1


class LanguageIdConfig(TasksConfig):
    """Name the language of a few words, given a few examples a language."""

    kind: Literal["language_id"]
    ways: int = Field(5, ge=2, le=7, description="languages in one task")
    words: int = Field(3, ge=1, le=20, description="words in one example")

    def examples_a_task(self) -> int:
        """Of all languages."""
        return self.ways * super().examples_a_task()

    def longest_example(self) -> int:
        """Letters, and a space before each word but the first."""
        return self.words * (LONGEST_WORD + 1) - 1


class SinusoidConfig(TasksConfig):
    """Predict a later value of a task's sine wave from a window of the unit wave sin(x)."""

    metrics: ClassVar[tuple[str, ...]] = ("query_loss",)

    kind: Literal["sinusoid"]
    window: int = Field(10, ge=2, le=1000, description="samples of sin(x) that are read")
    horizon: int = Field(5, ge=1, le=1000, description="samples between the window's end and the value to predict")
    spacing: float = Field(0.1, gt=0.0, le=10.0, description="distance of two samples on the x axis")

    def longest_example(self) -> int:
        """All are of one length."""
        return self.window


TASKS: dict[str, type[TasksConfig]] = {"language_id": LanguageIdConfig, "sinusoid": SinusoidConfig}
