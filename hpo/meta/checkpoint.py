"""The state of a meta-training in one file: safetensors, with everything that is no tensor as JSON in its header.

One file, written beside its place and moved there, so tensors and state never disagree; a SHA-256 over both finds a
file that was truncated or changed; the one before it, from an earlier rung, is kept for that. No pickle: reading a
checkpoint runs no code.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from pydantic import Field, ValidationError

from hpo.meta.cells import Params
from hpo.records import Record, Report

FILE_NAME = "checkpoint.safetensors"
PREVIOUS_NAME = "previous.safetensors"


class BadCheckpointError(Exception):
    """The file is no checkpoint, incomplete, or not what was written."""


class TrainingState(Record):
    """Where a meta-training stands, besides its tensors."""

    config: dict[str, Any]  # TrialConfig.to_dict()
    meta_iteration: int = Field(ge=0)
    seconds: float = Field(ge=0.0)
    reports: tuple[Report, ...] = ()


def save(path: Path, state: TrainingState, tensors: Params) -> None:
    """Replaces ``path``, which is kept as PREVIOUS_NAME beside it.

    Each step is one move: a crash leaves at least one of the two whole (:func:`kept`).
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = state.model_dump_json()
    content = safetensors.torch.save(tensors, {"state": text, "sha256": _digest(text, tensors)})
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        path.replace(path.with_name(PREVIOUS_NAME))
    beside.replace(path)
    _sync_directory(path.parent)


def kept(directory: Path) -> list[Path]:
    """The checkpoints of a trial that are there, the newest first."""
    return [path for name in (FILE_NAME, PREVIOUS_NAME) if (path := directory / name).exists()]


def load(path: Path) -> tuple[TrainingState, Params]:
    """State and tensors (on the CPU); raises FileNotFoundError, or BadCheckpointError with the reason."""
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors: Params = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except safetensors.SafetensorError as error:
        raise BadCheckpointError(f"{path}: {error}") from error
    if header.get("sha256") != _digest(header.get("state", ""), tensors):
        raise BadCheckpointError(f"{path}: the checksum does not fit the content")
    try:
        return TrainingState.model_validate_json(header["state"]), tensors
    except ValidationError as error:
        raise BadCheckpointError(f"{path}: the state is not one that this version wrote: {error}") from error


def _digest(text: str, tensors: Params) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _sync_directory(directory: Path) -> None:
    """Makes the move itself survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
