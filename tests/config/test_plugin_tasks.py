"""``kind: my_module:MyTasks``: a task family in a file of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hpo.config import StudyConfig, load_study_config
from hpo.config.plugin import load_class
from hpo.errors import ConfigError, InputError
from hpo.space import Space

FAMILY = """\
from datetime import date
from typing import ClassVar
from pydantic import BaseModel, Field
from hpo.config.tasks import TasksConfig


class Noise(TasksConfig.__base__):
    scale: float = Field(0.1, ge=0.0)
    colour: str = "white"


class WalkConfig(TasksConfig):
    metrics: ClassVar[tuple[str, ...]] = ("query_loss",)
    time: int = Field(20, ge=2)
    noise: Noise = Noise()
    span: tuple[float, float] = (0.0, 1.0)
    label: int | str = 0
    day: date = date(2024, 1, 1)


class Walks:
    Config = WalkConfig


class Configless:
    pass


class Misconfigured:
    Config = dict
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("my_tasks", "broken", "raising", "needing", "leaving"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    Path("my_tasks.py").write_text(FAMILY)
    return tmp_path


def study(kind: str, options: str = "", search: str = "") -> StudyConfig:
    Path("s.yaml").write_text(f"name: q\ntasks: {{kind: '{kind}'{options}}}\nlearner: {{kind: maml}}\n{search}")
    return load_study_config("s.yaml")


def refusal(kind: str, options: str = "", search: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        study(kind, options, search)
    return str(caught.value)


def test_options_of_ones_own_are_validated_searched_and_resolved(folder: Path) -> None:
    config = study(
        "my_tasks:Walks",
        ", time: 30, noise: {scale: 0}, span: [1, 2], day: 2024-02-03",
        "search:\n  tasks.time: {type: int, low: 2, high: 50}\n  tasks.noise.scale: {type: float, low: 0, high: 1}\n",
    )
    assert StudyConfig.from_dict(config.to_dict()) == config
    trial = config.trial_config({"tasks.time": 7, "tasks.noise.scale": 0.5})
    assert trial.to_dict()["tasks"] == {
        "kind": "my_tasks:Walks", "shots": 5, "queries": 10, "time": 7,
        "noise": {"scale": 0.5, "colour": "white"}, "span": [1.0, 2.0], "label": 0, "day": "2024-02-03",
    }  # fmt: skip
    assert Space.from_search(config.search, config.fixed_values()).names == ("tasks.time", "tasks.noise.scale")


@pytest.mark.parametrize(
    ("options", "search", "expected"),
    [
        (", tiem: 3", "", "s.yaml:2: tasks.tiem: unknown key 'tiem'; did you mean 'time'?"),
        (
            ", noise: {scael: 3}", "",
            "s.yaml:2: tasks.noise.scael: unknown key 'scael'; did you mean 'scale'?",
        ),
        (", noise: {scale: -1}", "", "s.yaml:2: tasks.noise.scale: found -1, expected at least 0.0"),
        (
            ", day: soon", "",
            "s.yaml:2: tasks.day: found 'soon', expected date in the format YYYY-MM-DD, input is too short",
        ),
        (", span: [1]", "", "s.yaml:2: tasks.span: found [1], expected more values"),
        (
            ", label: [1]", "",
            "s.yaml:2: tasks.label: found [1], expected an integer\ns.yaml:2: tasks.label: found [1], expected text",
        ),
        ("", "objective: {metric: query_accuracy}", "s.yaml:4: objective.metric: found 'query_accuracy', "
         "which my_tasks:Walks tasks do not have, expected query_loss"),
        (
            "", "search: {tasks.noise.scael: {type: int, low: 1, high: 2}}",
            "s.yaml:4: search.tasks.noise.scael: no field 'tasks.noise.scael' to search; "
            "did you mean 'tasks.noise.scale'?",
        ),
        (
            "", "search: {tasks.noise.scale: {type: float, low: -1, high: 2}}",
            "s.yaml:4: search.tasks.noise.scale.low: found -1.0, expected at least 0.0",
        ),
    ],
)  # fmt: skip
def test_bad_options_of_ones_own(folder: Path, options: str, search: str, expected: str) -> None:
    assert refusal("my_tasks:Walks", options, search) == expected


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        ("my_tasks:Walk", None, "{folder}/my_tasks.py has no class 'Walk'; did you mean 'Walks'?"),
        ("my_tasks:ClassVar", None, "{folder}/my_tasks.py has no class 'ClassVar'"),
        ("my_task:Walks", None, "there is no module 'my_task' in {folder} or on PYTHONPATH; did you mean 'my_tasks'?"),
        ("my_tasks:", None, "found 'my_tasks:', expected module:Class, such as my_tasks:MyTasks"),
        ("my tasks:Walks", None, "found 'my tasks:Walks', expected module:Class, such as my_tasks:MyTasks"),
        (".my_tasks:Walks", None, "found '.my_tasks:Walks', expected module:Class, such as my_tasks:MyTasks"),
        (
            "my_tasks:Configless", None,
            "my_tasks:Configless needs an attribute Config that is a subclass of hpo.config.tasks.TasksConfig",
        ),
        (
            "my_tasks:Misconfigured", None,
            "my_tasks:Misconfigured needs an attribute Config that is a subclass of hpo.config.tasks.TasksConfig",
        ),
        (
            "broken:X", "x = = 1\n",
            "importing the module 'broken' fails: SyntaxError: invalid syntax (broken.py, line 1)",
        ),
        (
            "raising:X", "def f():\n    1 / 0\nf()\n",
            "importing the module 'raising' fails: ZeroDivisionError: division by zero ({folder}/raising.py:2)",
        ),
        (
            "needing:X", "import no_such_package\n",
            "importing the module 'needing' fails: ModuleNotFoundError: No module named 'no_such_package' "
            "({folder}/needing.py:1)",
        ),
        (
            "leaving:X", "raise SystemExit(3)\n",
            "importing the module 'leaving' fails: SystemExit: 3 ({folder}/leaving.py:1)",
        ),
    ],
)  # fmt: skip
def test_a_class_that_cannot_be_had(folder: Path, kind: str, source: str | None, expected: str) -> None:
    if source is not None:
        (folder / f"{kind.partition(':')[0]}.py").write_text(source)
    found = refusal(kind)
    assert found.startswith(f"s.yaml:2: tasks.kind: {expected.format(folder=folder)}")


def test_only_tasks_may_be_of_ones_own(folder: Path) -> None:
    Path("s.yaml").write_text("name: q\ntasks: {kind: sinusoid}\nlearner: {kind: 'my_tasks:Walks'}\n")
    with pytest.raises(ConfigError, match="unknown kind 'my_tasks:Walks'; expected one of: maml"):
        load_study_config("s.yaml")


def test_load_class_raises_input_error(folder: Path) -> None:
    assert load_class("my_tasks:Walks").__name__ == "Walks"
    with pytest.raises(InputError):
        load_class("my_tasks:Runs")
