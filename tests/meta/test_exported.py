"""Learners that were exported: they predict as they did, and on a user's own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageDraw

from hpo.config import TrialConfig
from hpo.errors import HpoError, InputError
from hpo.meta.exported import CONFIG, TASK, WEIGHTS, ExportedLearner, contents
from hpo.meta.learners import adapt
from hpo.meta.own_tasks import reader_of
from hpo.meta.tasks import Split
from hpo.meta.tasks.tables import read_file
from hpo.meta.trial import Trial
from tests.csv_file import write_csv

Make = Callable[..., TrialConfig]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    return write_csv(path, list(rows[0]), [list(row.values()) for row in rows])


def exported(config: TrialConfig, folder: Path) -> tuple[Trial, ExportedLearner]:
    trial = Trial.of(config, torch.device("cpu"))
    folder.mkdir()
    for name, content in contents(config, trial.initial_parameters()).items():
        (folder / name).write_bytes(content)
    (folder / CONFIG).write_text(yaml.safe_dump({"name": "exported", **config.to_dict()}))
    return trial, ExportedLearner.load(folder)


@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
def test_it_predicts_as_it_did(trial_config: Make, tmp_path: Path, kind: str) -> None:
    trial, learner = exported(trial_config(kind), tmp_path / "best")
    batch = trial.fixed_tasks(Split.TEST, 3)
    expected = adapt(trial.learner, trial.initial_parameters(), batch.support, 2)(batch.query)
    assert torch.equal(learner.adapt_episode(batch.support)(batch.query), expected)
    fewer = adapt(trial.learner, trial.initial_parameters(), batch.support, 1)(batch.query)
    assert torch.equal(learner.adapt_episode(batch.support, steps=1)(batch.query), fewer)
    with pytest.raises(InputError, match="not read from files: adapt_episode takes tensors"):
        learner.adapt(tmp_path / "support.csv")


def test_the_number_of_steps_is_that_of_the_objective(trial_config: Make, tmp_path: Path) -> None:
    trial, learner = exported(trial_config(objective__inner_steps=5), tmp_path / "best")
    batch = trial.fixed_tasks(Split.TEST, 3)
    expected = adapt(trial.learner, trial.initial_parameters(), batch.support, 5)(batch.query)
    assert torch.equal(learner.adapt_episode(batch.support)(batch.query), expected)


def test_what_is_no_exported_learner(trial_config: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"task\.json: there is no such file, expected a folder that hpo export"):
        ExportedLearner.load(tmp_path / "nowhere")
    folder = tmp_path / "best"
    exported(trial_config(), folder)
    for name in (TASK, WEIGHTS, CONFIG):
        content = (folder / name).read_bytes()
        for bad in (b"", b"{}", content[:-30]):
            (folder / name).write_bytes(bad)
            with pytest.raises(HpoError):
                ExportedLearner.load(folder)
        (folder / name).write_bytes(content)
    changed = (folder / CONFIG).read_text().replace("hidden_size: 5", "hidden_size: 6")
    (folder / CONFIG).write_text(changed)
    with pytest.raises(InputError, match=r"does not fit config\.yaml beside it"):
        ExportedLearner.load(folder)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rows = [
        {"text": f"{word} {other} {label}", "label": label}
        for label in ("rain", "sun", "snow", "wind", "fog", "hail", "ice", "dew", "sky", "sea", "heat", "mist")
        for word in ("much", "little", "no")
        for other in ("today", "tomorrow")
    ]
    return written(tmp_path / "corpus.csv", rows)


def text_config(trial_config: Make, corpus: Path) -> TrialConfig:
    raw = trial_config().to_dict()
    tasks = {"kind": "text", "file": str(corpus), "ways": 2, "shots": 2, "queries": 2}
    return TrialConfig.from_dict({**raw, "tasks": tasks})


def test_texts_without_the_file_it_was_trained_on(trial_config: Make, tmp_path: Path, corpus: Path) -> None:
    trial, learner = exported(text_config(trial_config, corpus), tmp_path / "best")
    corpus.unlink()
    support = [
        {"text": "much sun", "label": "good"},
        {"text": "no sun", "label": "bad"},
        {"text": "Sun!", "label": "good"},
    ]
    query = [{"id": i, "text": text} for i, text in enumerate(["sun today", "never seen", "snow"])]
    adapted = learner.adapt(written(tmp_path / "support.csv", support))
    predictions = adapted.predict(written(tmp_path / "query.csv", query))
    assert [*predictions] == ["prediction", "probability of bad", "probability of good"]
    sums = np.array(predictions["probability of bad"]) + predictions["probability of good"]
    assert sums == pytest.approx(1.0)
    better = np.array(predictions["probability of good"]) > 0.5
    assert [each == "good" for each in predictions["prediction"]] == better.tolist()
    assert adapted.task.support.targets.tolist() == [[1, 0, 1]]
    vocabulary = trial.family.vocabulary  # type: ignore[attr-defined]
    tokens = adapted.task.support.inputs[0, 0, : adapted.task.support.lengths[0, 0]]
    assert tokens.tolist() == vocabulary.encode("much sun", 99).tolist()


def test_texts_that_cannot_be_adapted_to(trial_config: Make, tmp_path: Path, corpus: Path) -> None:
    _, learner = exported(text_config(trial_config, corpus), tmp_path / "best")
    three = [{"text": "sun", "label": label} for label in "abc"]
    with pytest.raises(InputError, match=r"found 3 labels \(a, b, c\), expected at most 2"):
        learner.adapt(written(tmp_path / "three.csv", three))
    with pytest.raises(InputError, match="has no column 'label'"):
        learner.adapt(written(tmp_path / "none.csv", [{"text": "sun", "labels": "x"}]))
    with pytest.raises(InputError, match="line 3, column 'label': found nothing"):
        learner.adapt(written(tmp_path / "gap.csv", [{"text": "sun", "label": "x"}, {"text": "sun", "label": ""}]))
    adapted = learner.adapt(written(tmp_path / "good.csv", three[:2]))
    with pytest.raises(InputError, match="line 2, column 'text': found nothing"):
        adapted.predict(written(tmp_path / "empty.csv", [{"text": "", "id": "1"}]))


def test_words_of_another_language(trial_config: Make, tmp_path: Path) -> None:
    pytest.importorskip("wordfreq", reason="language_id needs the text extra")
    config = TrialConfig.from_dict({**trial_config().to_dict(), "tasks": {"kind": "language_id", "ways": 2}})
    _, learner = exported(config, tmp_path / "best")
    support = [{"text": "Straße, größer!", "label": "de"}, {"text": "château", "label": "fr"}]
    adapted = learner.adapt(written(tmp_path / "support.csv", support))
    spelled = [
        "".join(" abcdefghijklmnopqrstuvwxyz"[t - 1] for t in row if t) for row in adapted.task.support.inputs[0]
    ]
    assert spelled == ["strasse grosser", "chateau"]
    with pytest.raises(InputError, match="line 2, column 'text': found '123', expected at least one letter"):
        adapted.predict(written(tmp_path / "digits.csv", [{"text": "123"}]))


def test_a_series_goes_on_from_its_past(trial_config: Make, tmp_path: Path) -> None:
    days = [f"2026-01-{day:02}" for day in range(1, 29)]
    rows = [{"series": name, "time": day, "value": i} for name in "abcde" for i, day in enumerate(days)]
    tasks = {"kind": "series", "file": str(written(tmp_path / "all.csv", rows)), "window": 3, "horizon": 2}
    config = TrialConfig.from_dict({**trial_config("sinusoid").to_dict(), "tasks": {**tasks, "shots": 2, "queries": 2}})
    _, learner = exported(config, tmp_path / "best")
    past = [{"time": day, "value": 10.0 * i} for i, day in enumerate(days[:20])]
    future = [{"time": day, "value": 10.0 * i} for i, day in enumerate(days) if i >= 20]
    adapted = learner.adapt(written(tmp_path / "past.csv", past[::-1]))
    mean, deviation = np.mean([row["value"] for row in past]), np.std([row["value"] for row in past])
    support = adapted.task.support
    assert support.inputs.shape == (1, 16, 3, 1)
    assert support.inputs[0, 0, :, 0].tolist() == pytest.approx([(v - mean) / deviation for v in (0.0, 10.0, 20.0)])
    assert support.targets[0, 15].tolist() == pytest.approx([(v - mean) / deviation for v in (180.0, 190.0)])
    query = adapted.task.query(read_file(written(tmp_path / "future.csv", future)))
    assert query.inputs[0, 0, :, 0].tolist() == pytest.approx([(v - mean) / deviation for v in (180.0, 190.0, 200.0)])
    in_order = adapted.predict(tmp_path / "future.csv")
    assert [*in_order] == ["forecast 1", "forecast 2"]
    backwards = adapted.predict(written(tmp_path / "backwards.csv", future[::-1]))
    assert list(backwards["forecast 1"]) == pytest.approx(list(in_order["forecast 1"])[::-1])
    raw = adapted.predictor(query)[0].double().numpy() * deviation + mean
    assert list(in_order["forecast 2"]) == pytest.approx(raw[:, 1].tolist())
    with pytest.raises(InputError, match="expected a time after all of the support set's"):
        adapted.predict(written(tmp_path / "early.csv", past[-1:]))
    with pytest.raises(InputError, match="found 3 values, expected at least 5"):
        learner.adapt(written(tmp_path / "short.csv", past[:3]))


def test_drawings_from_image_files(tmp_path: Path) -> None:
    """The reader alone: the data set that a learner of drawings is trained on is not in the repository."""
    from hpo.meta.own_tasks import ImageReader

    for name, corner in (("a", 10), ("b", 60)):
        drawing = Image.new("1", (105, 105), 1)
        ImageDraw.Draw(drawing).rectangle((corner, corner, corner + 30, corner + 30), fill=0)
        drawing.save(tmp_path / f"{name}.png")
    rows = [{"image": "a.png", "label": 1}, {"image": "b.png", "label": 2}]
    task = ImageReader().task(read_file(written(tmp_path / "support.csv", rows)), outputs=5)
    assert task.support.inputs.shape == (1, 2, 28, 28)
    assert task.support.inputs[0, 0, :14, :14].sum() > 50
    assert task.support.inputs[0, 1, :14, :14].sum() == 0.0
    (tmp_path / "c.png").write_bytes(b"no image")
    for name, reason in (("c.png", "this is no image"), ("d.png", "No such file")):
        with pytest.raises(InputError, match=f"line 2, column 'image': found '{name}' .{reason}"):
            task.query(read_file(written(tmp_path / "query.csv", [{"image": name}])))


def test_formulas_have_no_files(trial_config: Make) -> None:
    assert reader_of(Trial.of(trial_config("sinusoid", tasks__window=4), torch.device("cpu")).family) is None
