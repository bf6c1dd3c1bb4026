"""Parameters of trials as Optuna stores them."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.distributions import BaseDistribution, CategoricalDistribution, distribution_to_json

from hpo.config.search import Value
from hpo.space import Params


def param_rows(
    trial_id: int, params: Params, distributions: Mapping[str, BaseDistribution]
) -> list[dict[str, int | float | str]]:
    """Rows of ``trial_params``; none of a parameter that ``distributions`` do not name."""
    return [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": _stored(name, params[name], distribution),
            "distribution_json": distribution_to_json(distribution),
        }
        for name, distribution in distributions.items()
        if name in params
    ]


def _stored(name: str, value: Value, distribution: BaseDistribution) -> float:
    """Optuna stores a choice as its index."""
    if not isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    for index, choice in enumerate(distribution.choices):
        if choice == value and type(choice) is type(value):  # 1 == True == 1.0, but they are three choices
            return float(index)
    raise ValueError(f"{name}: {value!r} has trials and is none of the choices {distribution.choices}")
