"""The meta-training of one trial, from its spec to its outcome.

The same config on the same device gives the same numbers; stopped anywhere and resumed from its checkpoint, it gives
the numbers of an uninterrupted run, on a CPU bit for bit.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import torch

from hpo.config import TrialConfig
from hpo.meta.resources import find_device, keep_freed_memory, naming_out_of_memory, reset_peak_memory
from hpo.meta.threads import use_threads
from hpo.meta.training import Events, Stopped, Trained, Training
from hpo.records import TrialOutcome, TrialSpec

__all__ = ["Events", "Stopped", "Trained", "meta_train", "train"]


def meta_train(spec: TrialSpec, events: Events) -> TrialOutcome | Stopped:
    """Meta-trains one trial; reports at rungs, checkpoints after each, resumes from ``spec.checkpoint_dir``.

    Raises Diverged and OutOfMemory, which are data for the sampler, and InputError where the spec is wrong.
    """
    directory = None if spec.checkpoint_dir is None else Path(spec.checkpoint_dir)
    ended = train(TrialConfig.from_dict(spec.config), spec.device, directory, events, spec.threads)
    return ended.outcome if isinstance(ended, Trained) else ended


def train(
    config: TrialConfig, device_name: str, directory: Path | None, events: Events, threads: int | None = None
) -> Trained | Stopped:
    """Like :func:`meta_train`, and gives the meta-parameters too; without ``threads``, with as many as torch has."""
    device = find_device(device_name)
    use_threads(threads or torch.get_num_threads(), device)
    keep_freed_memory()
    reset_peak_memory(device)
    with naming_out_of_memory(), closing(Training.of(config, device, directory, events)) as training:
        while (ended := training.has_ended()) is None:
            batch = training.next_batch()
            training.step(*training.learner.meta_gradient(training.outer.meta, batch), batch)
        return ended
