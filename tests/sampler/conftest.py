"""Small spaces and one thread: the matrices of these tests are tiny."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.space import Space

with warnings.catch_warnings():
    # linear_operator uses torch.jit.script, which torch has deprecated; it happens once, on import
    warnings.simplefilter("ignore", DeprecationWarning)
    import botorch  # noqa: F401
    import torch


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def mixed() -> Space:
    """A log float, a short and a long int, a category, and a float and a category that hang on it."""
    return Space.from_search(
        {
            "rate": FloatDimension(type="float", low=1e-3, high=1.0, log=True),
            "steps": IntDimension(type="int", low=1, high=10),
            "size": IntDimension(type="int", low=8, high=256, log=True),
            "cell": CategoricalDimension(type="categorical", choices=["rnn", "gru", "lstm"]),
            "forget": FloatDimension(type="float", low=0.0, high=1.0, when={"cell": ["lstm"]}),
            "peephole": CategoricalDimension(type="categorical", choices=[True, False], when={"cell": ["lstm"]}),
        }
    )


@pytest.fixture
def plain() -> Space:
    """Two floats and a category, no conditions."""
    return Space.from_search(
        {
            "a": FloatDimension(type="float", low=0.0, high=1.0),
            "b": FloatDimension(type="float", low=0.0, high=1.0),
            "c": CategoricalDimension(type="categorical", choices=["x", "y", "z"]),
        }
    )
