from __future__ import annotations

import pytest

from hpo.child_process import how_it_ended, thread_environment


def test_the_libraries_that_compute_get_the_number_of_threads() -> None:
    assert thread_environment(3) == {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-15, "was ended by SIGTERM"),
        (-9, "was ended by SIGKILL (by hand, or by the system when memory ran out)"),
    ],
)
def test_how_it_ended(code: int, expected: str) -> None:
    assert how_it_ended(code) == expected
