"""``tasks:`` which family of few-shot tasks a trial learns from."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from hpo.config.section import Section

LONGEST_WORD = 14  # letters of a word that language_id takes
IMAGE_ROWS = 28  # of a character of omniglot, of as many pixels each
LONGEST_DRAWING = 128  # points of a drawing that omniglot takes


class TasksConfig(Section):
    """Base of every task family's options; a family adds its own fields."""

    # What a study can be judged by, for the checks of `objective.metric`; a regression has no accuracy.
    metrics: ClassVar[tuple[str, ...]] = ("query_loss", "query_accuracy")

    # Whether the family reads files: it is then made once before a study is created, to see whether they are good.
    reads_files: ClassVar[bool] = False

    kind: str
    shots: int = Field(5, ge=1, le=1000, description="support examples a class (classification) or a task (regression)")
    queries: int = Field(10, ge=1, le=1000, description="query examples a class or a task")

    @property
    def files(self) -> tuple[str, ...]:
        """Those of the user's that tasks are made from, which have to be on every machine."""
        return ()

    def examples_a_task(self) -> int:
        """Support and query together, for the prediction of a trial's memory."""
        return self.shots + self.queries

    def longest_example(self) -> int:
        """Time steps, likewise; a family of one's own that does not say so is predicted too little at first."""
        return 1


class TableConfig(TasksConfig):
    """Base of the families whose tasks are made from a table of the user's."""

    reads_files: ClassVar[bool] = True

    file: str = Field(
        min_length=1,
        description="*.csv, *.tsv or *.parquet; a relative path is one in the working directory or HPO_DATA_DIR",
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The table."""
        return (self.file,)


class ClassificationConfig(TasksConfig):
    """Base of the families whose tasks are to tell classes apart."""

    ways: int = Field(5, ge=2, le=1000, description="classes in one task")

    def examples_a_task(self) -> int:
        """Of all classes."""
        return self.ways * super().examples_a_task()


class HeldOutConfig(TasksConfig):
    """Base of the families that divide what their data holds into meta-training, meta-validation and meta-test."""

    validation_share: float = Field(0.2, gt=0.0, le=0.4, description="of what is divided, for meta-validation")
    test_share: float = Field(0.2, gt=0.0, le=0.4, description="of what is divided, for meta-test")
    split_seed: int = Field(0, ge=0, description="another one divides in another way")


class LanguageIdConfig(ClassificationConfig):
    """Name the language of a few words, given a few examples a language."""

    kind: Literal["language_id"]
    ways: int = Field(5, ge=2, le=7, description="languages in one task")
    words: int = Field(3, ge=1, le=20, description="words in one example")

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


class OmniglotConfig(ClassificationConfig, HeldOutConfig):
    """Tell handwritten characters apart, given a few drawings of each; divided by alphabet."""

    reads_files: ClassVar[bool] = True

    kind: Literal["omniglot"]
    input: Literal["rows", "strokes"] = Field("rows", description="28 rows of 28 pixels, or the pen's way")
    alphabets: Literal["small1", "small2", "small", "background", "full"] = Field(
        "background", description="5, 5, the 8 of both, 30, or all 50 with the 20 of evaluation for meta-test"
    )
    rotations: bool = Field(True, description="characters turned by 90, 180 and 270 degrees are classes of their own")
    within_alphabet: bool = Field(False, description="all classes of a task are of one alphabet, turned alike")

    def longest_example(self) -> int:
        """Rows of an image or points of a drawing."""
        return IMAGE_ROWS if self.input == "rows" else LONGEST_DRAWING


class TextConfig(TableConfig, ClassificationConfig, HeldOutConfig):
    """Tell a user's classes of texts apart, given a few texts of each; a column a text's label, perhaps a domain."""

    kind: Literal["text"]
    text_column: str = Field("text", description="column of the texts")
    label_column: str = Field("label", description="column of their classes")
    domain_column: str = Field("domain", description="column that is read with split_by: domain only")
    split_by: Literal["label", "domain"] = Field(
        "label", description="whether splits have labels of their own, or domains, of which each task is one"
    )
    level: Literal["word", "character"] = Field("word", description="what a token is")
    max_length: int = Field(50, ge=1, le=10_000, description="tokens of a text that are read, the first")
    vocabulary: int = Field(5000, ge=1, le=1_000_000, description="tokens that are told apart, the most frequent ones")

    def longest_example(self) -> int:
        """Where a text is as long as may be."""
        return self.max_length


class SeriesConfig(TableConfig, HeldOutConfig):
    """Forecast a user's time series, given a few windows of its past; a row a value, one series a task."""

    metrics: ClassVar[tuple[str, ...]] = ("query_loss",)

    kind: Literal["series"]
    series_column: str = Field("series", description="column that names the series")
    time_column: str = Field("time", description="column of numbers, or of dates and times")
    value_column: str = Field("value", description="column of the values")
    window: int = Field(20, ge=1, le=10_000, description="values that are read")
    horizon: int = Field(1, ge=1, le=1000, description="values after the window that are to be predicted")

    def longest_example(self) -> int:
        """All are of one length."""
        return self.window


TASKS: dict[str, type[TasksConfig]] = {
    "language_id": LanguageIdConfig,
    "sinusoid": SinusoidConfig,
    "omniglot": OmniglotConfig,
    "text": TextConfig,
    "series": SeriesConfig,
}
