"""Every learner, with the options that make it another algorithm, and the task families that it is tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hpo.config.learner import LEARNERS

MAML = {"inner_steps": 2, "inner_lr": 0.3}
MEMORY = {"memory_slots": 6, "memory_width": 4, "read_heads": 1}
# Each learner with the options that make it another algorithm: kind -> options of each variant.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "maml": [
        {**MAML},
        {**MAML, "order": "first"},
        {**MAML, "adapt_embedding": False},
        {**MAML, "rates": "learned"},
        {**MAML, "multi_step_iterations": 4},
    ],
    "anil": [{**MAML}, {**MAML, "order": "first"}],
    "meta_sgd": [{**MAML}, {**MAML, "order": "first"}],
    "memory_bank": [{**MAML, "slots": 4, "descriptor_size": 3}],
    "reptile": [{"inner_steps": 4, "inner_lr": 0.2}, {"inner_steps": 4, "inner_lr": 0.2, "batch": "serial"}],
    "lstm_meta_learner": [{"inner_steps": 2, "input_gate": 0.3}],
    "prototypical": [{}, {"distance": "cosine"}],
    "matching": [{}, {"full_context": True, "context_steps": 2}],
    "meta_rnn": [{"support_loss": True}, {"support_loss": False, "reader_size": 7}],
    "mann": [{**MEMORY, "support_loss": True}, {**MEMORY, "support_loss": False, "read_heads": 2}],
    "metaoptnet": [{"head": "ridge"}, {"head": "svm", "svm_cost": 0.5}],
}
# Options whose meta-gradient is not the derivative of the query loss.
APPROXIMATE = [("order", "first"), ("kind", "reptile"), ("kind", "lstm_meta_learner"), ("support_loss", True)]
FAMILIES = ["toy_tasks:Prevailing", "toy_tasks:Lines"]  # tokens and classes; features and real values


@dataclass(frozen=True)
class Case:
    options: dict[str, Any]  # of the learner
    family: str

    @property
    def is_exact(self) -> bool:
        return not any(self.options.get(key) == value for key, value in APPROXIMATE)

    def __str__(self) -> str:
        return "-".join(map(str, [*self.options.values(), self.family.partition(":")[2]]))


CASES = [
    Case({"kind": kind, **options}, family)
    for kind in LEARNERS
    for options in OPTIONS[kind]
    for family in FAMILIES
    if family == "toy_tasks:Prevailing" or not LEARNERS[kind].needs_classes
]
