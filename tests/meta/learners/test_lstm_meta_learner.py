from __future__ import annotations

import math
from itertools import islice

import pytest
import torch
from by_autograd import Make, set_up
from torch import Tensor, nn

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.learners import Learner, adapt, lstm_meta_learner
from hpo.meta.learners.coordinate_lstm import preprocessed
from hpo.meta.tasks import Episode, TaskBatch

STEPS = 3


def config_of(trial_config: Make, tasks: str = "toy_tasks:Prevailing", **options: object) -> TrialConfig:
    learner = {"kind": "lstm_meta_learner", "inner_steps": STEPS, "input_gate": 0.2, "lstm_size": 4, **options}
    return TrialConfig.from_dict(trial_config(tasks, model__cell="gru").to_dict() | {"learner": learner})


class Reference:
    """The paper's equations for the coordinates of one task, one after another parameter; torch.nn's LSTM cell."""

    def __init__(self, learner: Learner, meta: Params) -> None:
        self.network = learner.network
        self.leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in meta.items()}
        self.cell = nn.LSTMCell(4, 4, dtype=torch.float64)

    def lstm(self, inputs: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        names = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}
        weights = {name: self.leaves[f"lstm.{own}"] for name, own in names.items()}
        return torch.func.functional_call(self.cell, weights, (inputs, state))

    def gate(self, row: int, h: Tensor, theta: Tensor, before: Tensor) -> Tensor:
        w, bias = self.leaves["gates.w_h"][row], self.leaves["gates.bias"][row]
        of_theta, of_gate = self.leaves["gates.w_theta"][row], self.leaves["gates.w_gates"][row]
        return torch.sigmoid(h @ w + of_theta * theta + of_gate * before + bias)

    def adapted(self, task: Episode) -> Params:
        theta = {name: self.leaves[name] for name in self.network.names}
        states: dict[str, tuple[Tensor, Tensor] | None] = dict.fromkeys(theta)
        gates = {name: (torch.zeros_like(tensor), torch.zeros_like(tensor)) for name, tensor in theta.items()}
        for _ in range(STEPS):
            loss, gradient = self.loss_and_gradient(theta, task)
            for name, g in gradient.items():
                inputs = torch.cat(
                    [reference_preprocessing(g.flatten()), reference_preprocessing(loss.expand(g.numel()))], 1
                )
                states[name] = self.lstm(inputs, states[name])
                h = states[name][0].view(*g.shape, -1)
                i, f = (self.gate(row, h, theta[name], gates[name][row]) for row in (0, 1))
                theta[name], gates[name] = f * theta[name] - i * g, (i, f)
        return theta

    def loss_and_gradient(self, theta: Params, task: Episode) -> tuple[Tensor, Params]:
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in theta.items()}
        loss = self.loss(leaves, task)
        found = torch.autograd.grad(loss, list(leaves.values()))
        return loss.detach(), dict(zip(leaves, found, strict=True))

    def loss(self, theta: Params, task: Episode) -> Tensor:
        with_axis = {name: tensor.unsqueeze(0) for name, tensor in theta.items()}
        return self.network.loss(self.network.forward(with_axis, self.network.pack(task)), task.targets)[0]

    def meta_gradient(self, batch: TaskBatch) -> tuple[Params, Tensor]:
        losses = [self.loss(self.adapted(task.support), task.query) for task in batch.chunk(batch.tasks)]
        found = torch.autograd.grad(sum(losses) / len(losses), list(self.leaves.values()))
        return dict(zip(self.leaves, found, strict=True)), torch.stack(losses).detach()


def reference_preprocessing(values: Tensor) -> Tensor:
    """Appendix of the paper, number by number."""
    rows = []
    for x in values.tolist():
        large = abs(x) >= math.exp(-10)
        rows.append([math.log(abs(x)) / 10, math.copysign(1, x)] if large else [-1.0, math.exp(10) * x])
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("tasks", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
@pytest.mark.parametrize("rows", [7, 2**13])
def test_the_meta_gradient_is_that_of_the_papers_equations(
    trial_config: Make, monkeypatch: pytest.MonkeyPatch, tasks: str, rows: int
) -> None:
    """However many coordinates are computed at a time."""
    monkeypatch.setattr(lstm_meta_learner, "_ROWS", rows)
    learner, meta, batch = set_up(config_of(trial_config, tasks))
    meta = {
        name: tensor * (30 if name.startswith("gates.w") else 1) for name, tensor in meta.items()
    }  # that they count
    gradient, metrics = learner.meta_gradient(meta, batch)
    expected, losses = Reference(learner, meta).meta_gradient(batch)
    torch.testing.assert_close(metrics.loss, losses, rtol=1e-10, atol=1e-12)
    assert gradient.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensor.norm() > 0, name
        torch.testing.assert_close(gradient[name], tensor, rtol=1e-8, atol=1e-11)


def test_with_gates_that_are_constant_it_is_gradient_descent(trial_config: Make) -> None:
    learner, meta, batch = set_up(config_of(trial_config))
    maml = trial_config(model__cell="gru", learner__inner_lr=0.2, learner__order="first", learner__inner_steps=STEPS)
    plain, _, _ = set_up(maml)
    constant = {name: torch.zeros_like(tensor) for name, tensor in meta.items() if name.startswith("gates")}
    constant["gates.bias"] = torch.tensor([math.log(0.2 / 0.8), 100.0], dtype=torch.float64)
    meta = meta | constant
    theta = {name: meta[name] for name in plain.network.names}
    curves = zip(learner.adaptation(meta, batch.support), plain.adaptation(theta, batch.support), strict=False)
    for ours, theirs in islice(curves, STEPS + 2):
        torch.testing.assert_close(ours(batch.query), theirs(batch.query), rtol=1e-10, atol=1e-12)
    gradient, _ = learner.meta_gradient(meta, batch)
    for name, tensor in plain.meta_gradient(theta, batch)[0].items():
        torch.testing.assert_close(gradient[name], tensor, rtol=1e-9, atol=1e-12)


def test_it_begins_near_gradient_descent(trial_config: Make) -> None:
    learner, _, batch = set_up(config_of(trial_config))
    meta = learner.init(torch.Generator().manual_seed(0), torch.float64)
    plain, _, _ = set_up(trial_config(model__cell="gru", learner__inner_lr=0.2))
    ours, theirs = (adapt(each, meta, batch.support, STEPS)(batch.query) for each in (learner, plain))
    assert (ours - theirs).norm() < 0.05 * theirs.norm()


def test_preprocessing_is_that_of_the_appendix() -> None:
    numbers = torch.tensor([1.0, -1.0, 1e3, -1e-3, math.exp(-10), 1e-5, -1e-6, 0.0, 1e-300], dtype=torch.float64)
    torch.testing.assert_close(preprocessed(numbers), reference_preprocessing(numbers))
