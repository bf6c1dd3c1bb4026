"""``hpo accelerate`` with compilers that are small scripts."""

from __future__ import annotations

import _ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.meta.accelerator.build import instruction_set
from tests.cli.conftest import Run, as_json

Compiler = Callable[[str], Path]
COPY = f"""while [ "$1" != -o ]; do shift; done; cat '{_ctypes.__file__}' > "$2" """  # some library that can be loaded


@pytest.fixture
def compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """``compiler("exit 1")``: CXX is a script that has a version and compiles so; the cache is empty."""
    monkeypatch.setenv("HPO_CACHE_DIR", str(folder / "cache"))
    monkeypatch.delenv("HPO_ACCELERATOR", raising=False)

    def make(compiles: str) -> Path:
        script = folder / "fake++"
        script.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "fake 1.0"; exit; fi\n{compiles}\n')
        script.chmod(0o755)
        monkeypatch.setenv("CXX", str(script))
        return script

    return make


def test_it_is_built_once(run: Run, compiler: Compiler, folder: Path) -> None:
    script = compiler(COPY)
    first = run("accelerate")
    path, instructions = first.stdout.split()
    assert instructions == instruction_set()
    assert Path(path).is_relative_to(folder / "cache")
    assert Path(path).read_bytes() == Path(_ctypes.__file__).read_bytes()
    said = first.stderr.splitlines()
    assert said[0] == f"building the accelerator for {instructions} with {script} ..."
    assert said[1].startswith("built in ")
    again = run("accelerate")
    assert (again.stdout, again.stderr) == (first.stdout, "already built\n")


def test_for_programs(run: Run, compiler: Compiler) -> None:
    script = compiler(COPY)
    first, again = as_json(run("accelerate", "--json")), as_json(run("accelerate", "--json"))
    assert first["seconds"] > 0
    assert again == {
        "library": first["library"],
        "instructions": instruction_set(),
        "compiler": str(script),
        "seconds": None,
        "switched_off": False,
    }


@pytest.mark.parametrize(
    ("compiles", "expected"),
    [
        ("echo 'entry.cpp:1: no such header' >&2; exit 3", "failed with exit status 3:\nentry.cpp:1: no such header"),
        ('while [ "$1" != -o ]; do shift; done; echo nothing > "$2"', "accelerator.so: "),  # cannot be loaded
    ],
)
def test_where_it_cannot_be_used_the_reason_is_said(run: Run, compiler: Compiler, compiles: str, expected: str) -> None:
    compiler(compiles)
    result = run("accelerate", "--json", code=1)
    assert result.stdout == ""
    assert "error: the accelerator cannot be used, trials do without it: " in result.stderr
    assert expected in result.stderr


def test_no_compiler(run: Run, compiler: Compiler, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler: set CXX, or install g++" in run("accelerate", code=1).stderr


@pytest.mark.parametrize("value", ["off", "0"])
def test_that_it_is_switched_off_is_said(
    run: Run, compiler: Compiler, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(COPY)
    monkeypatch.setenv("HPO_ACCELERATOR", value)
    assert f"HPO_ACCELERATOR={value} switches it off" in run("accelerate").stderr
    assert as_json(run("accelerate", "--json"))["switched_off"] is True
