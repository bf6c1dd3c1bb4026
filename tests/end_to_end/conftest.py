from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.support import Hpo


@pytest.fixture
def hpo(tmp_path: Path) -> Iterator[Hpo]:
    """On SQLite."""
    command = Hpo(tmp_path, f"sqlite:///{tmp_path / 'hpo.db'}")
    yield command
    command.close()


@pytest.fixture
def hpo_on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Hpo]:
    command = Hpo(tmp_path, postgres_url)
    yield command
    command.close()
