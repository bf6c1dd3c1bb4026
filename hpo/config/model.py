"""``model:`` the recurrent network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpo.config.section import Section


class ModelConfig(Section):
    """Embedding (token inputs only), stacked recurrent layers, linear head."""

    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    hidden_size: int = Field(64, ge=1, le=8192)
    layers: int = Field(1, ge=1, le=16)
    embedding_size: int = Field(64, ge=1, le=4096, description="used where inputs are tokens")
    readout: Literal["last", "mean"] = Field(
        "last", description="what the head reads: the output at a sequence's last step, or the mean over its steps"
    )
    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="of the rnn cell; other cells ignore it")
