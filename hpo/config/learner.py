"""``learner:`` the meta-learning algorithm and its hyperparameters."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from hpo.config.section import Section


class LearnerConfig(Section):
    """Base of every learner's options."""

    # For ``search: {learner: default}``: field -> dimension with bounds of what is worth trying. Learners that share a
    # field share its dimension.
    default_search: ClassVar[dict[str, dict[str, Any]]] = {}
    needs_classes: ClassVar[bool] = False  # whether it cannot predict real values

    kind: str

    @property
    def steps(self) -> int:
        """Adaptation steps that it is trained for; without an inner loop there is one, the reading of the support."""
        return int(getattr(self, "inner_steps", 1))

    @property
    def is_fusible(self) -> bool:
        """Whether several trials of it can be one program."""
        return False


class MamlConfig(LearnerConfig):
    """Model-agnostic meta-learning (Finn et al. 2017); ``order: first`` is first-order MAML."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        "inner_lr": {"type": "float", "low": 0.003, "high": 1.0, "log": True},
        "inner_steps": {"type": "int", "low": 1, "high": 5},
    }

    kind: Literal["maml"]
    order: Literal["first", "second"] = "second"
    inner_steps: int = Field(3, ge=1, le=100, description="gradient steps on the support set")
    inner_lr: float = Field(0.1, gt=0.0, le=100.0, description="step size of the inner loop")
    adapt_embedding: bool = Field(True, description="whether the inner loop also changes the embedding table")

    @property
    def is_fusible(self) -> bool:
        """Always."""
        return True


class PrototypicalConfig(LearnerConfig):
    """Prototypical Networks (Snell et al. 2017)."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        "distance": {"type": "categorical", "choices": ["euclidean", "cosine"]},
    }
    needs_classes: ClassVar[bool] = True

    kind: Literal["prototypical"]
    distance: Literal["euclidean", "cosine"] = Field("euclidean", description="between an embedding and a prototype")


LEARNERS: dict[str, type[LearnerConfig]] = {"maml": MamlConfig, "prototypical": PrototypicalConfig}
