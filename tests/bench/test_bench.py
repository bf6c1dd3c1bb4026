from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.bench import meta_gradient, peers, report
from tests.bench.contenders import Problem
from tests.bench.setting import CELLS, INNER_LR, ORDERS, TIME, Setting, flops


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("cell", CELLS)
def test_floor_is_what_autograd_multiplies(cell: str, order: str) -> None:
    setting = Setting(cell, order, inner_steps=2, hidden_size=4, tasks=1)
    problem = Problem.of(setting)
    meta = {name: weight.requires_grad_() for name, weight in problem.weights.items()}
    with FlopCounterMode(display=False) as counter:
        ((x, y, query_x, query_y),) = problem.tasks()
        fast = meta
        for _ in range(setting.inner_steps):
            loss = F.cross_entropy(_logits(cell, fast, x), y)
            gradients = torch.autograd.grad(loss, list(fast.values()), create_graph=problem.second_order)
            fast = {name: fast[name] - INNER_LR * step for name, step in zip(fast, gradients, strict=True)}
        of = meta if problem.second_order else fast
        torch.autograd.grad(F.cross_entropy(_logits(cell, fast, query_x), query_y), list(of.values()))
    assert flops(setting) == counter.get_total_flops()


def _logits(cell: str, p: dict[str, Tensor], x: Tensor) -> Tensor:
    """One product with W_ih for all steps and one with W_hh for every step but the first."""
    inputs = F.linear(x.flatten(0, 1), p["w_ih"]).view(*x.shape[:2], -1) + p["b_ih"]
    h = c = torch.zeros(())
    for t in range(TIME):
        recurrent = (F.linear(h, p["w_hh"]) if t else torch.zeros(())) + p["b_hh"]
        if cell == "lstm":
            i, f, g, o = (inputs[:, t] + recurrent).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        else:
            hidden = p["w_hh"].shape[1]
            x_r, x_z, x_n = inputs[:, t].chunk(3, dim=1)
            h_r, h_z, h_n = recurrent.split(hidden, dim=-1)
            r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
            h = (1 - z) * (x_n + r * h_n).tanh() + z * h
    return F.linear(h, p["head.weight"], p["head.bias"])


def test_json_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "--quick --cells lstm --orders first --hidden 4 --tasks 2 --repeats 1 --seconds 0"
    options = meta_gradient._parser().parse_args([*asked.split(), "--contenders", "plain", "nn loop"])
    results = meta_gradient.run(options)
    assert json.loads(json.dumps(results)) == results
    assert results["missing"] == []
    assert results["agree"]
    (row,) = results["times"]
    assert row["milliseconds"].keys() == row["share_of_floor"].keys() == {"plain", "nn loop"}
    assert row["milliseconds"]["plain"]["iterations"] >= 1
    assert row["milliseconds"]["plain"]["best"] <= row["milliseconds"]["plain"]["median"]
    assert row["speedup_over_nn_loop"].keys() == {"plain"}
    assert 0 < row["deviation"]["nn loop"] < meta_gradient.TOLERANCE
    assert results["environment"]["product_gflops"] > 0
    assert "plain" in report.text(results)
    assert "| lstm | first | 1 | 4 |" in report.markdown(results)


def test_peer_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    bench = meta_gradient.Bench(1, 0.0, tmp_path)
    bench.invite("higher")
    assert "higher" in bench.missing["higher"]
    assert "higher" not in bench.environments
    assert not list((tmp_path / "hpo" / "bench-peers").iterdir())
    with pytest.raises(peers.Missing):
        peers.folder("higher")
