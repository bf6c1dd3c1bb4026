"""A trained learner as a folder, which needs nothing else to be adapted to a task of one's own.

config.yaml          what it was trained with; ``hpo train`` takes it too
learner.safetensors  its meta-parameters
task.json            what its network reads and predicts, and how a user's files become that (own_tasks)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import safetensors
import safetensors.torch
import torch
from pydantic import TypeAdapter, ValidationError

from hpo.config import TrialConfig, load_study_config
from hpo.errors import InputError
from hpo.meta.cells import Params
from hpo.meta.checkpoint import BadCheckpointError, kept, load
from hpo.meta.learners import Learner, Predictor, learner_of
from hpo.meta.own_tasks import Reader, reader_of
from hpo.meta.own_tasks.base import Columns, OwnTask
from hpo.meta.tasks import Classes, Episode, Features, TaskFamily, Tokens, Values, task_family
from hpo.meta.tasks.tables import Table, read_file

CONFIG, WEIGHTS, TASK = "config.yaml", "learner.safetensors", "task.json"
_META = "meta."


@dataclass(frozen=True)
class Interface:
    """``reader``: None where there are no files like what the learner was trained on."""

    input: Tokens | Features
    output: Classes | Values
    reader: Reader | None

    @classmethod
    def of(cls, family: TaskFamily) -> Self:
        """That of the tasks a learner was trained on."""
        return cls(family.input, family.output, reader_of(family))


_INTERFACE = TypeAdapter(Interface)


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


def contents(config: TrialConfig, meta: Params) -> dict[str, bytes]:
    """File name -> content, but for the config, which whoever exports writes with its own words."""
    tensors = {name: tensor.contiguous() for name, tensor in meta.items()}
    interface = Interface.of(task_family(config.tasks))
    return {WEIGHTS: safetensors.torch.save(tensors), TASK: _INTERFACE.dump_json(interface, indent=1)}


class ExportedLearner:
    """``ExportedLearner.load(folder).adapt("support.csv").predict("query.csv")``."""

    def __init__(self, config: TrialConfig, learner: Learner, meta: Params, interface: Interface) -> None:
        self.config = config
        self.learner = learner
        self.meta = meta
        self._interface = interface

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """From a folder that ``hpo export --learner`` wrote; raises InputError, ConfigError where it is none."""
        folder = Path(folder)
        interface = _read_interface(folder / TASK)
        config = load_study_config(folder / CONFIG).trial_config({})
        learner = learner_of(config, interface)
        return cls(config, learner, _read_parameters(folder, learner), interface)

    def adapt(self, support: str | Path | Table, steps: int | None = None) -> Adapted:
        """To the task whose support set a CSV, TSV or Parquet file holds; raises InputError where it cannot be read.

        ``steps``: of the inner loop; default: as many as the objective of its study was measured after.
        """
        if self._interface.reader is None:
            raise InputError(f"{self.config.tasks.kind} tasks are not read from files: adapt_episode takes tensors")
        outputs = self.learner.network.outputs
        task = self._interface.reader.task(_table(support), outputs)
        return Adapted(self, task, self.adapt_episode(task.support, steps))

    def adapt_episode(self, support: Episode, steps: int | None = None) -> Predictor:
        """The same for any episode: a function from episodes to predictions (tasks, examples, outputs)."""
        given = self.config.objective.inner_steps
        steps = steps or (given if isinstance(given, int) else self.learner.inner_steps)
        return next(islice(self.learner.adaptation(self.meta, support), steps, None))


@dataclass(frozen=True)
class Adapted:
    """A learner that has seen a support set."""

    learner: ExportedLearner
    task: OwnTask
    predictor: Predictor

    def predict(self, query: str | Path | Table) -> Columns:
        """Columns of predictions for the rows of a file; raises InputError where it cannot be read."""
        table = _table(query)
        with torch.no_grad():
            return self.task.answers(table, self.predictor(self.task.query(table))[0])


def _table(given: str | Path | Table) -> Table:
    return given if isinstance(given, Table) else read_file(Path(given))


def _read_interface(path: Path) -> Interface:
    try:
        return _INTERFACE.validate_json(path.read_bytes())
    except ValidationError:
        raise InputError(f"{path}: this is not what hpo export --learner writes") from None
    except (OSError, ValueError):  # ValueError: a zero in the name
        raise InputError(f"{path}: there is no such file, expected a folder that hpo export --learner wrote") from None


def _read_parameters(folder: Path, learner: Learner) -> Params:
    path = folder / WEIGHTS
    try:
        found: Params = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    expected = {name: tuple(tensor.shape) for name, tensor in learner.init(torch.Generator()).items()}
    if expected != {name: tuple(tensor.shape) for name, tensor in found.items()}:
        raise InputError(f"{path} does not fit {CONFIG} beside it: was that changed since hpo export wrote it?")
    return found
