"""Compiling the accelerator, with a compiler that only copies: what is compiled is tested elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from hpo.meta import accelerator
from hpo.meta.accelerator import BuildError, build
from tests.meta.gradients.oracle import OTHER_BUILDS, WAYS, compiled

building = import_module("hpo.meta.accelerator.build")

# Appends a line to a log for every compilation, and writes where -o says.
COPYING = """#!/bin/sh
case " $* " in *" --version "*) cat "$0.version"; exit 0 ;; esac
echo compiling >> "$0.log"
while [ "$1" != -o ]; do shift; done
sleep 0.2
echo library > "$2"
"""
FAILING = """#!/bin/sh
if [ "$1" = --version ]; then echo 1.0; exit 0; fi
i=1; while [ $i -le 40 ]; do echo "remark $i"; i=$((i + 1)); done
echo "entry.cpp:7: error: no such luck" >&2
while [ "$1" != -o ]; do shift; done
echo half a library > "$2"
exit 1
"""


@dataclass(frozen=True)
class Compiler:
    path: Path

    @property
    def runs(self) -> int:
        log = self.path.with_name(f"{self.path.name}.log")
        return len(log.read_text().splitlines()) if log.exists() else 0

    def set_version(self, version: str) -> None:
        self.path.with_name(f"{self.path.name}.version").write_text(version)


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder, and a library that is looked for again, here and by whoever comes after."""
    monkeypatch.setenv("HPO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HPO_ACCELERATOR", raising=False)
    accelerator.library.cache_clear()
    yield tmp_path / "cache" / "accelerator"
    accelerator.library.cache_clear()


@pytest.fixture
def copying(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    compiler = Compiler(script(tmp_path / "copying", COPYING))
    compiler.set_version("copying 1.0")
    monkeypatch.setenv("CXX", str(compiler.path))
    return compiler


@pytest.fixture
def no_compiler(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("CXX", raising=False)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_compiles_once(copying: Compiler, cache: Path) -> None:
    library = build()
    assert library.is_relative_to(cache)
    assert library.read_text() == "library\n"
    assert build() == library
    assert copying.runs == 1
    assert files(cache) == {"accelerator.so", "lock"}


def test_the_cache_is_the_users_own(copying: Compiler) -> None:
    library = build()
    assert library.parent.stat().st_mode & 0o777 == 0o700
    assert library.stat().st_mode & 0o022 == 0


def test_the_compiler_that_cxx_names_may_have_arguments(copying: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", f"env '{copying.path}'")
    build()
    assert copying.runs == 1


@pytest.mark.parametrize("cxx", [None, "", "no-such-compiler -O3"])
@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler(cxx: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if cxx is not None:
        monkeypatch.setenv("CXX", cxx)
    with pytest.raises(BuildError, match=r"no C\+\+ compiler: set CXX"):
        build()


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_there_is_no_library_and_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert accelerator.library() is None
    assert accelerator.library() is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "no C++ compiler" in record.getMessage()
    assert "HPO_ACCELERATOR=off" in record.getMessage()


def test_a_failing_compilers_last_lines_are_told(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(script(tmp_path / "failing", FAILING)))
    with pytest.raises(BuildError) as caught:
        build()
    lines = str(caught.value).splitlines()
    assert "failing failed with exit status 1" in lines[0]
    assert lines[-1] == "entry.cpp:7: error: no such luck"
    assert "remark 40" in lines
    assert "remark 1" not in lines
    assert files(cache) == {"lock"}
    assert accelerator.library() is None


def test_a_compiler_that_cannot_tell_its_version(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(BuildError, match="false failed with exit status 1"):
        build()
    assert accelerator.library() is None


def test_a_compiler_that_cannot_be_run(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(script(tmp_path / "broken", "#!/no/such/shell\n")))
    with pytest.raises(BuildError, match="does not run"):
        build()


def test_a_library_that_cannot_be_loaded_is_a_warning(copying: Compiler, caplog: pytest.LogCaptureFixture) -> None:
    build()
    assert accelerator.library() is None
    (record,) = caplog.records
    assert "no accelerator" in record.getMessage()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_cache_folder_that_others_can_write_is_refused(copying: Compiler, mode: int) -> None:
    folder = build().parent
    folder.chmod(mode)
    with pytest.raises(BuildError, match="can be written by one"):
        build()
    assert accelerator.library() is None


def test_a_library_that_others_can_write_is_refused(copying: Compiler) -> None:
    build().chmod(0o766)
    with pytest.raises(BuildError, match=r"accelerator\.so .* can be written by one"):
        build()


def test_a_cache_folder_of_another_user_is_refused(copying: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    build()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BuildError, match="belongs to another user"):
        build()


def test_a_cache_that_cannot_be_used(copying: Compiler, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file stands in the way")
    with pytest.raises(BuildError, match="cannot use the cache folder"):
        build()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HPO_CACHE_DIR": "{}/own"}, "own/accelerator"),
        ({"HPO_CACHE_DIR": "{}/own", "XDG_CACHE_HOME": "{}/xdg"}, "own/accelerator"),
        ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/hpo/accelerator"),
        ({}, "home/.cache/hpo/accelerator"),
    ],
)
def test_where_the_cache_is(
    copying: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("HPO_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert build().parent.parent == tmp_path / expected


def test_whatever_the_library_depends_on_gives_another_one(
    copying: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [build("generic"), build("avx2")]  # other flags
    sources = tmp_path / "sources"
    shutil.copytree(building.SOURCES, sources)
    monkeypatch.setattr(building, "SOURCES", sources)
    assert build("generic") == found[0]  # the same files elsewhere
    header = sorted(sources.glob("*.h"))[0]
    header.write_text(header.read_text() + "\n")
    found.append(build("generic"))
    (sources / "entry.cpp").write_text("")
    found.append(build("generic"))
    (sources / "more.h").write_text("")
    found.append(build("generic"))
    copying.set_version("copying 1.1")
    found.append(build("generic"))
    monkeypatch.setenv("CXX", f"{copying.path} -g")
    found.append(build("generic"))
    assert len(set(found)) == len(found)
    assert copying.runs == len(found)
    (sources / "library.py").write_text("")  # no source of the library
    assert build("generic") == found[-1]


def test_two_processes_at_once_compile_once(copying: Compiler, cache: Path) -> None:
    command = [sys.executable, "-c", "from hpo.meta.accelerator import build; print(build())"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(set(said)) == 1
    assert Path(said[0].strip()).read_text() == "library\n"
    assert copying.runs == 1
    assert files(cache) == {"accelerator.so", "lock"}


def test_what_an_interrupted_build_leaves_is_not_taken_for_the_library(copying: Compiler) -> None:
    library = build()
    library.rename(library.with_name("building-interrupted.so"))
    assert build() == library
    assert library.read_text() == "library\n"
    assert copying.runs == 2


@pytest.mark.parametrize("instructions", [WAYS[2], *OTHER_BUILDS])
def test_every_build_has_all_functions(instructions: str) -> None:
    library = compiled(instructions)
    for function in ("trace_bytes", "gradient", "hessian_product"):
        for suffix in ("f32", "f64"):
            assert hasattr(library, f"accelerator_{function}_{suffix}")
