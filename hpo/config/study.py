"""A whole study config, and the config of one trial of it."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, PrivateAttr, SerializeAsAny

from hpo.config.cluster import execution_problems
from hpo.config.consistency import (
    constraint_problems,
    learner_problems,
    metric_problems,
    study_problems,
    trial_problems,
)
from hpo.config.constraints import ConstraintsConfig
from hpo.config.default_search import with_default_search
from hpo.config.execution import ExecutionConfig, PrunerConfig, SamplerConfig, StopConfig
from hpo.config.kinds import KINDS, SEARCHED_SECTIONS, kind_model, trial_models
from hpo.config.learner import LearnerConfig
from hpo.config.model import ModelConfig
from hpo.config.paths import flatten, set_path
from hpo.config.problems import InvalidConfig, Problem, collect
from hpo.config.search import Dimension
from hpo.config.search_checks import search_problems
from hpo.config.section import Section
from hpo.config.tasks import TasksConfig
from hpo.config.training import ObjectiveConfig, TrainingConfig
from hpo.config.validation import other_options, validated

SHAPELESS = {  # fields that trials of one program may differ in, see hpo.meta.fused
    "objective.inner_steps",
    "learner.inner_lr",
    "learner.inner_steps",
    "training.outer_lr",
    "training.clip_norm",
    "training.seed",
}
_FUSED_ON_GPU = 8  # a default that has not been measured yet


def _one_plain_line(name: str) -> str:
    if not name or not name.isprintable() or name != name.strip() or name.startswith("-"):
        raise ValueError(
            f"found {name!r}, expected one line of text that neither starts with '-' nor has spaces around it"
        )
    return name


class TrialConfig(Section):
    """Everything that one training depends on; resolved, so that it can be trained again alone."""

    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    tasks: SerializeAsAny[TasksConfig]
    model: ModelConfig = Field(default_factory=ModelConfig)
    learner: SerializeAsAny[LearnerConfig]
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`; raises InvalidConfig with every problem found."""
        config = validated(cls, raw)
        problems = trial_problems(flatten(config.to_dict()))
        tasks = {config.tasks.kind: type(config.tasks)}
        problems += metric_problems(config.objective.metric, tasks)
        problems += learner_problems({config.learner.kind: type(config.learner)}, tasks)
        if problems:
            raise InvalidConfig(problems)
        return config

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with every default filled in."""
        return self.model_dump(mode="json")


class StudyConfig(TrialConfig):
    """What a study searches, starting from which values, with which means, until when."""

    name: Annotated[str, Field(max_length=200), AfterValidator(_one_plain_line)]
    constraints: ConstraintsConfig = Field(default_factory=ConstraintsConfig)
    search: dict[str, Dimension] = Field(default_factory=dict)
    sampler: SamplerConfig = Field(default_factory=SamplerConfig)
    pruner: PrunerConfig = Field(default_factory=PrunerConfig)
    stop: StopConfig = Field(default_factory=StopConfig)
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig)
    storage: str | None = None

    # Where learner.kind or tasks.kind is searched: options that only other kinds than the written one have.
    _other_options: dict[str, dict[str, Any]] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """From parsed YAML or from :meth:`to_dict`; raises InvalidConfig with every problem found."""
        raw = with_default_search(raw)
        problems: list[Problem] = []
        config = collect(problems, validated, cls, raw)
        problems += search_problems(raw)
        if config is not None and not problems:
            problems += study_problems(flatten(config.to_dict()), config.search)
            problems += execution_problems(config.execution)
            problems += metric_problems(config.objective.metric, trial_models("tasks", raw))
            problems += learner_problems(trial_models("learner", raw), trial_models("tasks", raw))
            constrained = [constraint.metric for constraint in config.constraints.each]
            problems += constraint_problems(constrained, config.objective.metric, trial_models("tasks", raw))
            for section in KINDS:
                resolved = config.to_dict()[section]
                options = collect(problems, other_options, section, raw, resolved)
                config._other_options[section] = options or {}
        if config is None or problems:
            raise InvalidConfig(problems)
        return config

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with every default filled in, options of other searched kinds included."""
        resolved = self.model_dump(mode="json")
        for section, options in self._other_options.items():
            resolved[section] = {**copy.deepcopy(options), **resolved[section]}
        return resolved

    def trial_config(self, params: Mapping[str, Any]) -> TrialConfig:
        """The resolved config of the trial with these values of the searched fields; raises InvalidConfig.

        A field that ``params`` lacks keeps the value that the study config has for it.
        """
        raw = {key: value for key, value in self.to_dict().items() if key in TrialConfig.model_fields}
        for path, value in params.items():
            set_path(raw, path, value)
        for section, options in self._other_options.items():
            fields = kind_model(section, raw[section]["kind"]).model_fields
            of_kinds = {*options, *type(getattr(self, section)).model_fields}
            raw[section] = {key: v for key, v in raw[section].items() if key in fields or key not in of_kinds}
        return TrialConfig.from_dict(raw)

    def trials_at_once(self, device: str) -> int:
        """How many trials a worker on ``device`` (``cpu``, ``cuda:N``) asks for, to train what it can of them as one.

        ``execution.fuse``. auto: on a CPU fusing does not pay (0.5 to 1.3 times as fast); nor does it on a GPU where
        every trial may have shapes of its own: they would be trained one by one, without knowing of each other's
        results.
        """
        if self.execution.fuse != "auto":
            return self.execution.fuse
        pays = device.startswith("cuda") and self.search.keys() <= SHAPELESS and self.learner.is_fusible
        return _FUSED_ON_GPU if pays else 1

    def fixed_values(self) -> dict[str, Any]:
        """Dotted path -> value of every field that a trial has, for conditions on fields that are not searched."""
        return flatten({key: value for key, value in self.to_dict().items() if key in SEARCHED_SECTIONS})

    def meaning(self) -> dict[str, Any]:
        """:meth:`to_dict` without ``storage``, which says where the study lies and may hold a password.

        This is what a database keeps.
        """
        return {key: value for key, value in self.to_dict().items() if key != "storage"}

    @property
    def hash(self) -> str:
        """Equal for configs that mean the same, whatever was written out and in which order."""
        return hashlib.sha256(json.dumps(self.meaning(), sort_keys=True).encode()).hexdigest()
