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


class InnerLoopConfig(LearnerConfig):
    """Gradient descent on the support set."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        "inner_lr": {"type": "float", "low": 0.003, "high": 10.0, "log": True},
        "inner_steps": {"type": "int", "low": 1, "high": 5},
    }

    inner_steps: int = Field(3, ge=1, le=100, description="gradient steps on the support set")
    inner_lr: float = Field(0.1, gt=0.0, le=100.0, description="step size of the inner loop")


class UnrolledConfig(InnerLoopConfig):
    """An inner loop that is differentiated through; to first order as if its gradients were constants."""

    order: Literal["first", "second"] = "second"


class MamlConfig(UnrolledConfig):
    """Model-agnostic meta-learning (Finn et al. 2017); ``order: first`` is first-order MAML.

    ``rates`` and ``multi_step_iterations`` make it MAML++ (Antoniou et al. 2019).
    """

    kind: Literal["maml"]
    adapt_embedding: bool = Field(True, description="whether the inner loop also changes the embedding table")
    rates: Literal["fixed", "learned"] = Field(
        "fixed", description="learned: every layer and inner step has a step size of its own, inner_lr at first"
    )
    multi_step_iterations: int = Field(
        0,
        ge=0,
        le=10**9,
        description="meta-iterations in which the query loss after the last inner step replaces the mean of those after"
        " every step",
    )

    @property
    def is_fusible(self) -> bool:
        """Where trials have nothing of MAML++: one program has one set of weights, and no rates to learn."""
        return self.rates == "fixed" and self.multi_step_iterations == 0


class AnilConfig(UnrolledConfig):
    """Almost no inner loop (Raghu et al. 2020): MAML that adapts the head alone."""

    kind: Literal["anil"]


class MetaSgdConfig(UnrolledConfig):
    """Meta-SGD (Li et al. 2017): MAML with a learned step size for every number; inner_lr is where all begin."""

    kind: Literal["meta_sgd"]


class MemoryBankConfig(UnrolledConfig):
    """MAML with a memory of tasks (after Yao et al. 2019): a task starts from the nearest one that was solved."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        **UnrolledConfig.default_search,
        "slots": {"type": "int", "low": 8, "high": 128, "log": True},
        "nearness": {"type": "float", "low": 0.0, "high": 0.99},
    }

    kind: Literal["memory_bank"]
    slots: int = Field(
        32, ge=1, le=10_000, description="tasks that are remembered; the least recently used is forgotten"
    )
    descriptor_size: int = Field(16, ge=1, le=1024, description="numbers that describe a task")
    nearness: float = Field(
        0.9, ge=-1.0, le=1.0, description="cosine of two descriptors from which tasks are alike; learned from there on"
    )


class ReptileConfig(InnerLoopConfig):
    """Reptile (Nichol et al. 2018)."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        **InnerLoopConfig.default_search,
        "batch": {"type": "categorical", "choices": ["batched", "serial"]},
    }

    kind: Literal["reptile"]
    batch: Literal["batched", "serial"] = Field(
        "batched", description="serial: within a meta-iteration each task begins where the one before it moved theta"
    )
    serial_step: float = Field(0.1, gt=0.0, le=1.0, description="how far towards a task's result theta then moves")


class LstmMetaLearnerConfig(LearnerConfig):
    """LSTM meta-learner (Ravi & Larochelle 2017): the step of the inner loop is learned."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        "inner_steps": InnerLoopConfig.default_search["inner_steps"],
        "input_gate": {"type": "float", "low": 0.003, "high": 0.5, "log": True},
    }

    kind: Literal["lstm_meta_learner"]
    inner_steps: int = Field(3, ge=1, le=100, description="steps on the support set")
    input_gate: float = Field(0.1, gt=0.0, lt=1.0, description="the step size that it begins with")
    lstm_size: int = Field(20, ge=1, le=512, description="hidden units of the LSTM that every parameter is a row of")


class PrototypicalConfig(LearnerConfig):
    """Prototypical Networks (Snell et al. 2017)."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        "distance": {"type": "categorical", "choices": ["euclidean", "cosine"]},
    }
    needs_classes: ClassVar[bool] = True

    kind: Literal["prototypical"]
    distance: Literal["euclidean", "cosine"] = Field("euclidean", description="between an embedding and a prototype")


class MatchingConfig(LearnerConfig):
    """Matching Networks (Vinyals et al. 2016)."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        "full_context": {"type": "categorical", "choices": [False, True]},
        "context_steps": {"type": "int", "low": 1, "high": 5, "when": {"learner.full_context": [True]}},
    }
    needs_classes: ClassVar[bool] = True

    kind: Literal["matching"]
    full_context: bool = Field(False, description="whether embeddings depend on the whole support set")
    context_steps: int = Field(
        3, ge=1, le=100, description="with full_context: how often a query reads the support set"
    )


class MetaOptNetConfig(LearnerConfig):
    """MetaOptNet (Lee et al. 2019); ``head: ridge`` is R2-D2's (Bertinetto et al. 2019)."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        "head": {"type": "categorical", "choices": ["ridge", "svm"]},
        "ridge": {"type": "float", "low": 0.01, "high": 100.0, "log": True, "when": {"learner.head": ["ridge"]}},
        "svm_cost": {"type": "float", "low": 0.01, "high": 10.0, "log": True, "when": {"learner.head": ["svm"]}},
    }
    needs_classes: ClassVar[bool] = True

    kind: Literal["metaoptnet"]
    head: Literal["ridge", "svm"] = Field("ridge", description="what is fitted to the embeddings of the support set")
    ridge: float = Field(
        1.0, ge=1e-6, le=1e6, description="of head ridge: the penalty on squared weights that learning starts from"
    )
    svm_cost: float = Field(0.1, ge=1e-4, le=1e4, description="of head svm: C, what a violated margin costs")


class SequentialConfig(LearnerConfig):
    """Base of learners that read the support set's examples and labels as one sequence."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        "reader_size": {"type": "int", "low": 16, "high": 256, "log": True},
    }

    reader_size: int | None = Field(
        None,
        ge=1,
        le=8192,
        description="hidden units of the layer that reads examples and labels; default: the model's",
    )
    support_loss: bool = Field(True, description="whether predictions within the support set are trained too")


class MetaRnnConfig(SequentialConfig):
    """A recurrent network that learns in its state (Hochreiter et al. 2001)."""

    kind: Literal["meta_rnn"]


class MannConfig(SequentialConfig):
    """A memory-augmented neural network (Santoro et al. 2016)."""

    default_search: ClassVar[dict[str, dict[str, Any]]] = {
        **SequentialConfig.default_search,
        "memory_slots": {"type": "int", "low": 16, "high": 256, "log": True},
        "memory_width": {"type": "int", "low": 16, "high": 64, "log": True},
        "read_heads": {"type": "int", "low": 1, "high": 4},
    }

    kind: Literal["mann"]
    memory_slots: int = Field(128, ge=1, le=65536)
    memory_width: int = Field(40, ge=1, le=8192, description="numbers in a slot")
    read_heads: int = Field(4, ge=1, le=64)
    decay: float = Field(0.99, ge=0.0, le=1.0, description="of how much a slot counts as used, by step")


LEARNERS: dict[str, type[LearnerConfig]] = {
    "maml": MamlConfig,
    "anil": AnilConfig,
    "meta_sgd": MetaSgdConfig,
    "memory_bank": MemoryBankConfig,
    "reptile": ReptileConfig,
    "lstm_meta_learner": LstmMetaLearnerConfig,
    "prototypical": PrototypicalConfig,
    "matching": MatchingConfig,
    "metaoptnet": MetaOptNetConfig,
    "meta_rnn": MetaRnnConfig,
    "mann": MannConfig,
}
