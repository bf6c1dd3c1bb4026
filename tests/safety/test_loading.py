"""Nothing that is read runs code: no pickle in any clothes, no evaluated text, YAML without objects."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hpo
from hpo.config import load_study_config
from hpo.errors import ConfigError

SOURCES = sorted(Path(hpo.__file__).parent.rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "copyreg", "code", "codeop"}
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}
METHODS = {
    ("torch", "load"),
    ("torch", "save"),
    ("torch", "jit"),
    ("yaml", "load"),
    ("yaml", "load_all"),
    ("yaml", "full_load"),
    ("yaml", "unsafe_load"),
    ("yaml", "Loader"),
    ("yaml", "FullLoader"),
    ("yaml", "UnsafeLoader"),
    ("np", "fromfile"),
    ("np", "memmap"),
    ("os", "system"),
    ("os", "popen"),
}


def what_may_run_code(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                yield module
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{one.name}" for one in names if (module, one.name) in METHODS)
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield name
            case ast.Attribute(value=ast.Name(id=module), attr=attribute) if (module, attribute) in METHODS:
                yield f"{module}.{attribute}"
            case ast.keyword(arg="allow_pickle" | "shell" | "weights_only", value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="load"), keywords=keywords):
                if all(keyword.arg != "allow_pickle" for keyword in keywords):
                    yield "np.load"


def test_the_sources_run_no_code_that_they_read() -> None:
    assert len(SOURCES) > 150
    found = {path.name: list(what_may_run_code(ast.parse(path.read_text()))) for path in SOURCES}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.memory",
        "from marshal import loads",
        "from torch import load",
        "torch.load(path)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=wish)",
        "eval(text)",
        "exec(text)",
        "subprocess.run(command, shell=True)",
    ],
)
def test_the_check_itself_finds(code: str) -> None:
    assert list(what_may_run_code(ast.parse(code)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: !!python/object/apply:os.system [touch stolen]", "unknown tag"),
        ("!!python/object/new:os.system [touch stolen]", "unknown tag"),
        ("name: !!python/name:os.system ''", "unknown tag"),
        ("? !!python/object/apply:os.system [touch stolen]\n: 1", "put it in quotes"),
        ("a: &a [&a0 [x, x]]\nb: [*a, *c]", "undefined alias"),
        ("name: &n [*n]", "nested too deeply"),
        ("[" * 5_000, "nested too deeply|no valid YAML"),
        ("{a: " * 5_000, "nested too deeply|no valid YAML"),
        ("- " * 50_000, "nested too deeply|no valid YAML"),
        ("name: '" + "x" * 300_000 + "'", "longer than 256 KiB"),
    ],
)
def test_yaml_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=expected):
        load_study_config(path)
    assert [found.name for found in tmp_path.iterdir()] == ["study.yaml"]


def test_a_billion_laughs_are_cut_short(tmp_path: Path) -> None:
    levels = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 12))
    path = tmp_path / "study.yaml"
    path.write_text(f"l0: &l0 [ha]\n{levels}\n")
    with pytest.raises(ConfigError, match="more than 20000 values"):
        load_study_config(path)
