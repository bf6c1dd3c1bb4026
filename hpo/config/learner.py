"""``learner:`` the meta-learning algorithm and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpo.config.section import Section


class LearnerConfig(Section):
    """Base of every learner's options."""

    kind: str


class MamlConfig(LearnerConfig):
    """Model-agnostic meta-learning (Finn et al. 2017); ``order: first`` is first-order MAML."""

    kind: Literal["maml"]
    order: Literal["first", "second"] = "second"
    inner_steps: int = Field(3, ge=1, le=100, description="gradient steps on the support set")
    inner_lr: float = Field(0.1, gt=0.0, le=100.0, description="step size of the inner loop")
    adapt_embedding: bool = Field(True, description="whether the inner loop also changes the embedding table")


LEARNERS: dict[str, type[LearnerConfig]] = {"maml": MamlConfig}
