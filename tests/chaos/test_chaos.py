"""The short form of ``python -m tests.chaos``."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.__main__ import run
from tests.chaos.chaos import Plan


def test_killed_put_to_sleep_and_without_its_database_for_a_while(tmp_path: Path) -> None:
    plan = Plan(workers=3, trials=8, kills=6, naps=1, outages=1, outage_s=4.0, every_s=0.7)
    assert run("postgresql", plan, tmp_path, 300.0).problems(plan) == []
