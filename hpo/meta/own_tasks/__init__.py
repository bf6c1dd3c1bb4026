"""Tasks of a user's own files: what a trained learner is adapted to and asked.

A reader is all that is needed to turn rows of a table into a network's inputs, so that a learner that was exported
works where its data set is not.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from hpo.config.tasks import OmniglotConfig, SeriesConfig, TextConfig
from hpo.meta.own_tasks.base import OwnTask
from hpo.meta.own_tasks.images import ImageReader
from hpo.meta.own_tasks.letters import LetterReader
from hpo.meta.own_tasks.series import SeriesReader
from hpo.meta.own_tasks.texts import TextReader
from hpo.meta.tasks.base import TaskFamily
from hpo.meta.tasks.language_id import LanguageId
from hpo.meta.tasks.omniglot import Omniglot
from hpo.meta.tasks.series import Series
from hpo.meta.tasks.text import Text

__all__ = ["READER", "ImageReader", "LetterReader", "OwnTask", "Reader", "SeriesReader", "TextReader", "reader_of"]

Reader = Annotated[ImageReader | LetterReader | SeriesReader | TextReader, Field(discriminator="type")]
READER: TypeAdapter[Reader] = TypeAdapter(Reader)


def reader_of(family: TaskFamily) -> Reader | None:
    """What reads a user's files as this family reads its data; None where there are no files like it."""
    match family:
        case LanguageId():
            return LetterReader()
        case Text(config=TextConfig() as text, vocabulary=vocabulary):
            columns = {"text_column": text.text_column, "label_column": text.label_column}
            return TextReader(**columns, level=text.level, max_length=text.max_length, tokens=vocabulary.tokens)
        case Omniglot(config=OmniglotConfig(input="rows")):
            return ImageReader()
        case Series(config=SeriesConfig() as series):
            return SeriesReader(**series.model_dump(include={"time_column", "value_column", "window", "horizon"}))
    return None
