"""The same models and learners from torch.nn and torch.optim, one task and one example at a time."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.network import Network
from hpo.meta.tasks import Classes, Episode, TaskBatch, Tokens

KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Reference(nn.Module):
    """Loads the meta-parameters of a Network; reads single, unpadded sequences."""

    def __init__(self, network: Network, meta: Params) -> None:
        super().__init__()
        config = network.config
        self.readout = config.readout
        tokens = isinstance(network.input, Tokens)
        self.embedding = nn.Embedding(network.input.vocabulary, config.embedding_size) if tokens else nn.Identity()
        options = {"nonlinearity": config.nonlinearity} if config.cell == "rnn" else {}
        size = config.embedding_size if tokens else network.input.size
        self.cells = KINDS[config.cell](size, config.hidden_size, config.layers, batch_first=True, **options)
        self.head = nn.Linear(*reversed(meta["head.weight"].shape))
        self.classes = isinstance(network.output, Classes)
        self.double()
        self.load_state_dict({torch_name(name): tensor for name, tensor in meta.items()})

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        outputs = [self.cells(self.embedding(x[None, :n]))[0][0] for x, n in zip(inputs, lengths, strict=True)]
        read = [each[-1] if self.readout == "last" else each.mean(dim=0) for each in outputs]
        return self.head(torch.stack(read))

    def loss(self, episode: Episode, task: int) -> Tensor:
        predictions = self(episode.inputs[task], episode.lengths[task])
        loss = F.cross_entropy if self.classes else F.mse_loss
        return loss(predictions, episode.targets[task])


def torch_name(name: str) -> str:
    """``cell1.w_ih`` -> ``cells.weight_ih_l1``."""
    if name == "embedding":
        return "embedding.weight"
    if not name.startswith("cell"):
        return name
    layer, _, own = name.removeprefix("cell").partition(".")
    return f"cells.{own.replace('w_', 'weight_').replace('b_', 'bias_')}_l{layer}"


def first_order(config: TrialConfig, network: Network, meta: Params, batch: TaskBatch) -> Params:
    """FOMAML: SGD on a copy for every task, then the query gradient of the adapted copy."""
    total = {name: torch.zeros_like(tensor) for name, tensor in meta.items()}
    for task in range(batch.tasks):
        model = copy.deepcopy(Reference(network, meta))
        adapted = [p for name, p in model.named_parameters() if name != "embedding.weight" or adapts(config)]
        optimizer = torch.optim.SGD(adapted, lr=config.learner.inner_lr)
        for _ in range(config.learner.inner_steps):
            optimizer.zero_grad()
            model.loss(batch.support, task).backward()
            optimizer.step()
        model.zero_grad()
        model.loss(batch.query, task).backward()
        for name in meta:
            total[name] += model.get_parameter(torch_name(name)).grad / batch.tasks
    return total


def adapted_query_losses(config: TrialConfig, network: Network, meta: Params, batch: TaskBatch, steps: int) -> Tensor:
    """Query loss (tasks,) after ``steps`` steps of SGD."""
    losses = []
    for task in range(batch.tasks):
        model = Reference(network, meta)
        adapted = [p for name, p in model.named_parameters() if name != "embedding.weight" or adapts(config)]
        for _ in range(steps):
            gradients = torch.autograd.grad(model.loss(batch.support, task), adapted)
            with torch.no_grad():
                for parameter, gradient in zip(adapted, gradients, strict=True):
                    parameter -= config.learner.inner_lr * gradient
        losses.append(model.loss(batch.query, task).detach())
    return torch.stack(losses)


def adapts(config: TrialConfig) -> bool:
    return bool(config.learner.adapt_embedding)
