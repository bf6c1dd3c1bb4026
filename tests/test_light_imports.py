from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "botorch", "gpytorch", "optuna", "sqlalchemy", "alembic", "matplotlib", "ray")


@pytest.mark.parametrize("module", ["hpo.config", "hpo.space", "hpo.records", "hpo.config.difference"])
def test_the_lower_layers_load_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
