from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpo.config import load_study_config
from hpo.config.yaml_reader import Document, read_yaml
from hpo.errors import ConfigError

BASE = "name: q\ntasks: {kind: language_id}\nlearner: {kind: maml}\n"
QUICKSTART = Path(__file__).parents[2] / "study_configs" / "quickstart.yaml"


def test_the_quickstart_is_read_as_it_is_written() -> None:
    config = load_study_config(QUICKSTART)
    assert config.name == "quickstart"
    assert config.model.hidden_size == 32
    assert config.learner.inner_lr == 0.1  # type: ignore[attr-defined]
    assert list(config.search) == [
        "model.hidden_size", "learner.inner_lr", "training.outer_lr", "learner.inner_steps",
    ]  # fmt: skip
    assert config.storage == "sqlite:///hpo.db"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), ("-.5", -0.5), ("1.", 1.0), ("+3", 3), ("010", 10), ("-0", 0), ("0.1", 0.1),
        (".inf", float("inf")), ("-.INF", float("-inf")), ("+.Inf", float("inf")),
        ("no", "no"), ("on", "on"), ("y", "y"), ("2024-01-01", "2024-01-01"), ("1:30", "1:30"), ("1_000", "1_000"),
        ("0x10", "0x10"), ("true", True), ("False", False), ("~", None), ("null", None), ("", None), ("'3'", "3"),
        ("!!str 3", "3"), ("!!float 3", 3.0), ("[1, a]", [1, "a"]), ("{a: 1}", {"a": 1}), ("'<<'", "<<"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    document = read_yaml(f"key: {text}")
    assert document.problems == []
    found = document.raw["key"]
    assert found == value
    assert type(found) is type(value)


def test_what_the_file_lacks_has_the_line_of_what_it_would_stand_in() -> None:
    assert Document(None, {(): 1, ("model",): 3}, []).line(("model", "layers")) == 3


def test_nan_is_read() -> None:
    assert str(read_yaml("[.nan, .NaN, .NAN]").raw) == "[nan, nan, nan]"


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: q\ntasks: &tasks {kind: language_id, ways: 3}\nlearner: {kind: maml}\n"
        "search:\n  model.layers: &range {type: int, low: 1, high: 4}\n"
        "  training.seed: {<<: [{high: 9, low: 2}, *range], low: 0}\n  training.meta_batch: *range\n"
    )
    search = load_study_config(path).search
    assert search["training.meta_batch"] == search["model.layers"]
    assert search["training.seed"].model_dump(include={"low", "high"}) == {"low": 0, "high": 9}


def test_a_problem_in_a_merged_value_has_the_line_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        BASE + "search:\n  model.layers: &r\n    type: int\n    low: 1\n    high: 99\n  training.seed: {<<: *r}\n"
    )
    with pytest.raises(ConfigError, match=r"s\.yaml:8: search\.model\.layers\.high: found 99, expected at most 16"):
        load_study_config(path)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert load_study_config(path).name == "q"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("qickstart.yaml", "qickstart.yaml: there is no such file; did you mean quickstart.yaml?"),
        ("other.yaml", "other.yaml: there is no such file; did you mean configs/other.yaml?"),
        ("zzz.yaml", "zzz.yaml: there is no such file; . has: quickstart.yaml"),
        ("empty/zzz.yaml", "empty/zzz.yaml: there is no such file"),
        ("nowhere/zzz.yaml", "nowhere/zzz.yaml: there is no such file: the folder nowhere does not exist"),
        ("configs", "configs: this is a folder, expected a YAML file; did you mean configs/other.yaml?"),
        ("empty", "empty: this is a folder, expected a YAML file"),
        ("quickstart.yaml/x", "quickstart.yaml/x: cannot be read: Not a directory"),
    ],
)
def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("configs", "empty"):
        Path(folder).mkdir()
    Path("quickstart.yaml").touch()
    Path("configs/other.yaml").touch()
    with pytest.raises(ConfigError) as caught:
        load_study_config(asked)
    assert str(caught.value) == message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(BASE)
    path.chmod(0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load_study_config(path)
