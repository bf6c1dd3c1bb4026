"""How the multiplications of a meta-iteration grow with the fields of a config: the exponent of each.

tasks x (inner steps x support examples + query examples) x length x hidden size squared, a layer at a time. Both sets
grow with the ways; shots and queries each with one of them. Fields that are not here are not expected to matter.
"""

from __future__ import annotations

from collections.abc import Mapping

EXPONENTS: Mapping[str, float] = {
    "training.meta_batch": 1.0,
    "training.meta_iterations": 1.0,
    "learner.inner_steps": 1.0,
    "tasks.ways": 1.0,
    "tasks.shots": 0.5,
    "tasks.queries": 0.5,
    "tasks.words": 1.0,
    "tasks.window": 1.0,
    "model.hidden_size": 2.0,
    "model.layers": 1.0,
}
