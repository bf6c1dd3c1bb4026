from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.meta.checkpoint import FILE_NAME, PREVIOUS_NAME, BadCheckpointError, TrainingState, kept, load, save
from hpo.records import Estimate, Report

STATE = TrainingState(
    config={"learner": {"inner_lr": 0.1 + 0.2}, "tasks": {"kind": "ä"}},
    meta_iteration=7,
    seconds=1.5,
    reports=(Report(meta_iteration=5, objective=Estimate(mean=0.3, sem=0.1), seconds=1.0),),
)
TENSORS = {"meta.a": torch.arange(6.0).view(2, 3).t(), "exp_avg.a": torch.tensor([float("inf"), 1e-40])}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints") / "deep" / "checkpoint.safetensors"


def test_what_was_saved_is_loaded_bit_for_bit(path: Path) -> None:
    save(path, STATE, TENSORS)
    state, tensors = load(path)
    assert state == STATE
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert {file.name for file in path.parent.iterdir()} <= {path.name, PREVIOUS_NAME}


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    assert kept(tmp_path) == []
    path = tmp_path / FILE_NAME
    for number in (7, 8, 9):
        save(path, STATE.model_copy(update={"meta_iteration": number}), {})
    assert [load(one)[0].meta_iteration for one in kept(tmp_path)] == [9, 8]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_crash_between_the_two_moves_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE_NAME
    save(path, STATE, TENSORS)
    move = Path.replace

    def crash(self: Path, target: Path) -> Path:
        if target == path:
            raise KeyboardInterrupt
        return move(self, target)

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save(path, STATE.model_copy(update={"meta_iteration": 8}), TENSORS)
    assert [load(one)[0].meta_iteration for one in kept(tmp_path)] == [7]


def test_a_save_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, STATE, TENSORS)

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        save(path, STATE.model_copy(update={"meta_iteration": 8}), TENSORS)
    assert load(path)[0].meta_iteration == 7


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.0, 1.0, exclude_max=True))
def test_a_truncated_file_is_found(path: Path, share: float) -> None:
    save(path, STATE, TENSORS)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadCheckpointError, match=r"checkpoint\.safetensors"):
        load(path)


@settings(max_examples=80, deadline=None)
@given(share=st.floats(0.0, 1.0, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_or_harmless(path: Path, share: float, bit: int) -> None:
    save(path, STATE, TENSORS)
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        state, tensors = load(path)
    except BadCheckpointError:
        return
    assert state == STATE  # white space in the header
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_a_safetensors_file_of_something_else_is_no_checkpoint(path: Path) -> None:
    path.write_bytes(safetensors.torch.save({"a": torch.ones(3)}))
    with pytest.raises(BadCheckpointError, match="checksum"):
        load(path)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
