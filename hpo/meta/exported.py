"""A trained learner as a folder of two files: its config, which ``hpo train`` takes too, and its meta-parameters."""

from __future__ import annotations

import os
from pathlib import Path

import safetensors
import safetensors.torch

from hpo.config import TrialConfig
from hpo.errors import InputError
from hpo.meta.cells import Params
from hpo.meta.checkpoint import BadCheckpointError, kept, load

CONFIG, WEIGHTS = "config.yaml", "learner.safetensors"
_META = "meta."


def trained_parameters(checkpoint: Path, config: TrialConfig) -> Params:
    """Of a trial that was trained to its end, from its checkpoint; raises InputError where that cannot be used."""
    if checkpoint.name not in [path.name for path in kept(checkpoint.parent)]:
        raise InputError(f"{checkpoint} is not on this machine: export where the trial was trained")
    try:
        state, tensors = load(checkpoint)
    except BadCheckpointError as error:
        raise InputError(f"{error}; hpo train can train the config again") from None
    if state.meta_iteration < config.training.meta_iterations:
        raise InputError(f"{checkpoint}: trained for {state.meta_iteration} meta-iterations only, not to its end")
    return {name.removeprefix(_META): tensor for name, tensor in tensors.items() if name.startswith(_META)}


def write_parameters(folder: Path, meta: Params) -> Path:
    """In one step: nobody reads half a file. The folder is there."""
    target = folder / WEIGHTS
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    beside.write_bytes(safetensors.torch.save({name: tensor.contiguous() for name, tensor in meta.items()}))
    beside.replace(target)
    return target


def read_parameters(folder: Path, like: Params) -> Params:
    """What :func:`write_parameters` wrote; raises InputError where it is not that, or does not fit ``like``."""
    path = folder / WEIGHTS
    try:
        found: Params = safetensors.torch.load_file(path)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: there is no such file, expected a folder that hpo export --learner wrote") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    expected = {name: tuple(tensor.shape) for name, tensor in like.items()}
    if expected != {name: tuple(tensor.shape) for name, tensor in found.items()}:
        raise InputError(f"{path} does not fit {CONFIG} beside it: was that changed since hpo export wrote it?")
    return {name: tensor.to(like[name].dtype) for name, tensor in found.items()}
