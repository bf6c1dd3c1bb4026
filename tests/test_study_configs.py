"""Every study config in the repository runs, shortened: a few small tasks, one meta-iteration, one trial."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from hpo.config import StudyConfig, load_study_config
from tests.end_to_end.support import Hpo
from tests.real_data import folder_with

CONFIGS = sorted(Path(__file__).parent.parent.joinpath("study_configs").glob("*.yaml"))
SHORT = {
    "tasks": {"shots": 1, "queries": 1},
    "training": {"meta_batch": 2, "meta_iterations": 1, "eval_tasks": 4, "eval_every": 1},
    "stop": {"trials": 1},
    "pruner": {"min_iterations": 1},
    "execution": {"devices": "cpu", "slots_per_device": 1},
}


def test_there_are_configs() -> None:
    assert len(CONFIGS) >= 4


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_opens_with_what_it_is(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith(f"# study_configs/{path.name}: ")


def provide_data(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tasks are made from, where a config needs any: in ``folder``, or the test is skipped without."""
    match kind:
        case "text":
            rows = [f"word{i} word{label},label{label}" for label in range(25) for i in range(10)]
            (folder / "texts.csv").write_text("\n".join(["text,label", *rows]))
        case "series":
            rows = [f"{name},{t},{(name + 2) * t % 7}" for name in range(5) for t in range(80)]
            (folder / "series.csv").write_text("\n".join(["series,time,value", *rows]))
        case "language_id":
            pytest.importorskip("wordfreq", reason="language_id needs the text extra")
        case "omniglot":
            images = [f"omniglot/images_background_small{n}.zip" for n in (1, 2)]
            monkeypatch.setenv("HPO_DATA_DIR", str(folder_with(*images)))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_study_config(path)
    provide_data(config.tasks.kind, tmp_path, monkeypatch)
    raw = config.to_dict()
    shortened = {**raw, **{section: {**raw[section], **changes} for section, changes in SHORT.items()}}
    assert StudyConfig.from_dict(shortened).search == config.search
    short = tmp_path / path.name
    short.write_text(yaml.safe_dump(shortened))
    hpo = Hpo(tmp_path, f"sqlite:///{tmp_path / 'hpo.db'}")
    hpo("launch", str(short))
    rows = json.loads(hpo("best", config.name, "--format", "json"))
    assert len(rows) == 1
