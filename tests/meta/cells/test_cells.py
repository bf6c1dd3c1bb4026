from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hpo.config.model import ModelConfig
from hpo.meta.cells import CELLS, Cell, Params, cell_of

TASKS, BATCH, TIME, FEATURES, HIDDEN, LAYERS = 3, 4, 6, 5, 7, 2
TORCH = {
    "rnn_tanh": lambda: nn.RNN(FEATURES, HIDDEN, LAYERS, batch_first=True),
    "rnn_relu": lambda: nn.RNN(FEATURES, HIDDEN, LAYERS, batch_first=True, nonlinearity="relu"),
    "gru": lambda: nn.GRU(FEATURES, HIDDEN, LAYERS, batch_first=True),
    "lstm": lambda: nn.LSTM(FEATURES, HIDDEN, LAYERS, batch_first=True),
}


def weights(module: nn.Module, layer: int) -> Params:
    return {
        name.removesuffix(f"_l{layer}").replace("weight_", "w_").replace("bias_", "b_"): tensor.detach()
        for name, tensor in module.named_parameters()
        if name.endswith(f"_l{layer}")
    }


def stacked(modules: list[nn.Module], layer: int) -> Params:
    layers = [weights(module, layer) for module in modules]
    return {name: torch.stack([params[name] for params in layers]) for name in layers[0]}


def dense(cell: Cell, params: Params, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """On x (tasks, batch, time, features), by a packing in which no sequence ends early."""
    _, batch, time, _ = x.shape
    packed = x.transpose(1, 2).flatten(1, 2)
    outputs, state = cell.scan(params, cell.project(params, packed), [batch] * time, None)
    return outputs.unflatten(1, (time, batch)).transpose(1, 2), state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CELLS)
def test_equals_torch_nn_in_every_task(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    modules = [TORCH[name]().to(dtype) for _ in range(TASKS)]
    x = torch.randn(TASKS, BATCH, TIME, FEATURES, dtype=dtype)
    outputs, final = x, []
    for layer in range(LAYERS):
        outputs, state = dense(CELLS[name], stacked(modules, layer), outputs)
        final.append(state)
    for task, module in enumerate(modules):
        expected, expected_state = module(x[task])
        torch.testing.assert_close(outputs[task], expected, rtol=0, atol=1e-6)
        parts = expected_state if isinstance(expected_state, tuple) else (expected_state,)
        for index, part in enumerate(parts):
            torch.testing.assert_close(torch.stack([s[index][task] for s in final]), part, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_initialization_is_torch_nns_but_for_an_open_gate(name: str) -> None:
    params = CELLS[name].init(FEATURES, HIDDEN, torch.Generator().manual_seed(0), torch.float32)
    expected = weights(TORCH[name](), 0)
    assert {key: value.shape for key, value in params.items()} == {key: value.shape for key, value in expected.items()}
    keeping = {"gru": 1, "lstm": 1}.get(name)  # update gate (r, z, n), forget gate (i, f, g, o)
    if keeping is not None:
        params["b_ih"][keeping * HIDDEN : (keeping + 1) * HIDDEN] -= 3.0
    largest = torch.cat([tensor.flatten() for tensor in params.values()]).abs().max()
    assert 0.9 * HIDDEN**-0.5 < largest <= HIDDEN**-0.5


@pytest.mark.parametrize("name", CELLS)
def test_the_state_carries_a_sequence_on(name: str) -> None:
    cell, generator = CELLS[name], torch.Generator().manual_seed(0)
    params = {key: value[None] for key, value in cell.init(FEATURES, HIDDEN, generator, torch.float64).items()}
    projected = cell.project(params, torch.randn(1, 5 * BATCH, FEATURES, dtype=torch.float64, generator=generator))
    whole, end = cell.scan(params, projected, [BATCH] * 5, None)
    first, state = cell.scan(params, projected[:, : 2 * BATCH], [BATCH] * 2, None)
    second, state = cell.scan(params, projected[:, 2 * BATCH :], [BATCH] * 3, state)
    assert torch.equal(torch.cat([first, second], dim=1), whole)
    assert all(torch.equal(a, b) for a, b in zip(state, end, strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_first_and_second_derivatives(name: str) -> None:
    cell, generator = CELLS[name], torch.Generator().manual_seed(1)
    params = cell.init(2, 2, generator, torch.float64)
    leaves = [tensor.expand(2, *tensor.shape).clone().requires_grad_() for tensor in params.values()]
    x = torch.randn(2, 5, 2, dtype=torch.float64, generator=generator, requires_grad=True)

    def outputs(x: Tensor, *tensors: Tensor) -> Tensor:
        own = dict(zip(params, tensors, strict=True))
        return cell.scan(own, cell.project(own, x), [2, 2, 1], None)[0]

    assert torch.autograd.gradcheck(outputs, (x, *leaves))
    assert torch.autograd.gradgradcheck(outputs, (x, *leaves))


def test_the_config_names_the_cell() -> None:
    assert cell_of(ModelConfig(cell="lstm", nonlinearity="relu")) is CELLS["lstm"]
    assert cell_of(ModelConfig(cell="rnn", nonlinearity="relu")) is CELLS["rnn_relu"]
    assert cell_of(ModelConfig(cell="rnn")) is CELLS["rnn_tanh"]
