"""How long a meta-gradient takes, ours beside others: ``python -m tests.bench.meta_gradient`` (about 10 minutes).

plain         hpo without the accelerator             learn2learn, higher   the libraries of peers.txt, around nn.LSTM
accelerated   hpo as it is installed                  nn loop               torch.nn alone, a loop over tasks

Every contender is a process of its own (contenders.py), pinned to one core and one thread. For each setting they are
asked in turn, several rounds, so that whatever else the machine does meets all of them; the figure is the median over
all meta-iterations. Their meta-gradients are compared: a disagreement is exit status 1. Peak memory is that of a fresh
process. The floor is the operations that cannot be done without (setting.py) at the rate of large products, measured
in the same run. Where other work shares the core (``waiting`` in the JSON: the share of the time that a process waited
for it), ``--clock cpu`` counts only what it took of it. Peers are downloaded once; one that cannot be had is named and
left out.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np

from tests.bench import peers, report
from tests.bench import setting as fixed
from tests.bench.setting import CELLS, ORDERS, Setting, flops

ROOT = Path(__file__).parents[2]
CONTENDERS = ("plain", "accelerated", "learn2learn", "higher", "nn loop")
PEERS = ("learn2learn", "higher")
TOLERANCE = 1e-4  # float32; relative, in the Euclidean norm of the whole gradient

Results = dict[str, Any]


class Failed(Exception):
    """A contender said what went wrong, or ended."""


class Child:
    """One contender's process; ``ask`` is one request and its answer."""

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tests.bench.contenders", name]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Raises Failed."""
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"ended, status {self._process.wait()}"}
        if "error" in answer:
            raise Failed(answer["error"])
        return answer


@dataclass
class Times:
    """Seconds of each meta-iteration by the two clocks."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def summary(self, clock: str) -> Results:
        """Milliseconds, and the share of the wall time that the process did not run."""
        seconds = self.cpu if clock == "cpu" else self.wall
        return {
            "median": round(1e3 * statistics.median(seconds), 3),
            "best": round(1e3 * min(seconds), 3),
            "iterations": len(seconds),
            "waiting": round(max(0.0, 1 - sum(self.cpu) / sum(self.wall)), 3),
        }


@dataclass
class Bench:
    """One run: who takes part, who could not, and a folder for their gradients."""

    repeats: int
    seconds: float
    scratch: Path
    clock: str = "wall"
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def invite(self, name: str) -> None:
        """Sets a contender's environment up."""
        try:
            self.environments[name] = _environment(name)
        except peers.Missing as reason:
            self.leave_out(name, str(reason))

    def leave_out(self, name: str, reason: str) -> None:
        """A contender that cannot be had, or that failed: the run goes on without it."""
        say(f"{name} is missing: {reason}")
        self.missing[name] = reason
        self.environments.pop(name, None)

    def times(self, settings: list[Setting]) -> tuple[list[Results], Results]:
        """One row for each setting, and the machine; the same processes serve all settings.

        Large products are timed before every setting, as noise meets them too; the best rate of the run counts.
        """
        rows, machine = [], {"flops": 0.0}
        with contextlib.ExitStack() as stack:
            products = stack.enter_context(Child("products", _environment("products")))
            children = {name: stack.enter_context(Child(name, env)) for name, env in self.environments.items()}
            for setting in settings:
                say(str(setting))
                machine = max(machine, products.ask("products", device=setting.device), key=lambda each: each["flops"])
                rows.append(self._row(setting, self._measured(setting, children)))
        for row, setting in zip(rows, settings, strict=True):
            row |= _floor(row, flops(setting) / machine["flops"])
        return rows, machine

    def memory(self, setting: Setting) -> Results:
        """Peaks of fresh processes: a peak never falls."""
        say(f"memory: {setting}")
        peaks: dict[str, dict[str, Any]] = {}
        for name, environment in list(self.environments.items()):
            with self._without_the_failed(name), Child(name, environment) as child:
                child.ask("prepare", setting=asdict(setting), gradient=self._gradient(name))
                child.ask("measure", seconds=0.0)
                peaks[name] = child.ask("peak")
        return asdict(setting) | {
            "peak_mb": {name: round(peak["bytes"] / 1e6, 1) for name, peak in peaks.items()},
            "device_peak_mb": {
                name: round(peak["device_bytes"] / 1e6, 1)
                for name, peak in peaks.items()
                if peak["device_bytes"] is not None
            },
        }

    def _measured(self, setting: Setting, children: dict[str, Child]) -> dict[str, Times]:
        """Times of every meta-iteration of every contender."""
        times: dict[str, Times] = {}
        for name in list(self.environments):
            with self._without_the_failed(name):
                children[name].ask("prepare", setting=asdict(setting), gradient=self._gradient(name))
                times[name] = Times()
        for _ in range(self.repeats):
            for name in list(times):
                with self._without_the_failed(name, times):
                    answer = children[name].ask("measure", seconds=self.seconds)
                    times[name].wall += answer["wall"]
                    times[name].cpu += answer["cpu"]
        return times

    def _row(self, setting: Setting, times: dict[str, Times]) -> Results:
        milliseconds = {name: each.summary(self.clock) for name, each in times.items()}
        medians = {name: each["median"] for name, each in milliseconds.items()}
        return asdict(setting) | {
            "milliseconds": milliseconds,
            "speedup_over_learn2learn": _ratios(medians, "learn2learn"),
            "speedup_over_nn_loop": _ratios(medians, "nn loop"),
            "deviation": self._deviations(list(times)),
        }

    def _deviations(self, names: list[str]) -> dict[str, float]:
        """How far each meta-gradient is from the first contender's."""
        gradients = {name: np.fromfile(self._gradient(name), dtype=np.float32).astype(float) for name in names}
        if not gradients:
            return {}
        reference = gradients[names[0]]
        norm = np.linalg.norm(reference)
        return {name: float(np.linalg.norm(gradients[name] - reference) / norm) for name in names[1:]}

    def _gradient(self, name: str) -> str:
        return str(self.scratch / f"{name}.float32")

    @contextlib.contextmanager
    def _without_the_failed(self, name: str, times: dict[str, Times] | None = None) -> Iterator[None]:
        try:
            yield
        except Failed as reason:
            self.leave_out(name, str(reason))
            if times is not None:
                del times[name]


def main(arguments: list[str] | None = None) -> int:
    """Prints the results; 1 where meta-gradients disagree or a contender that needs no download failed."""
    options = _parser().parse_args(arguments)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # children inherit it; Linux only
    try:
        results = run(options)
    except Failed as reason:  # not even products can be timed
        say(str(reason))
        return 1
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print(report.markdown(results) if options.markdown else report.text(results))
    return 0 if results["agree"] and not {each["peer"] for each in results["missing"]} - set(PEERS) else 1


def run(options: argparse.Namespace) -> Results:
    """Everything that was asked for, as the JSON shows it."""
    settings = _settings(options)
    with tempfile.TemporaryDirectory(prefix="hpo-bench-") as scratch:
        bench = Bench(options.repeats or (2 if options.quick else 5), options.seconds, Path(scratch), options.clock)
        for name in options.contenders:
            bench.invite(name)
        times, machine = bench.times(settings)
        memory = [] if options.quick else [bench.memory(each) for each in _largest(settings)]
    deviations = [deviation for row in times for deviation in row["deviation"].values()]
    largest = max(deviations, default=0.0)
    return {
        "environment": _described(options.device, machine),
        "run": _run(options, bench),
        "times": times,
        "memory": memory,
        "largest_deviation": largest,
        "agree": all(deviation < TOLERANCE for deviation in deviations),
        "missing": [{"peer": name, "missing": reason} for name, reason in bench.missing.items()],
    }


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.meta_gradient", description=__doc__.splitlines()[0])
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything, as one JSON object")
    form.add_argument("--markdown", action="store_true", help="the tables in Markdown")
    parser.add_argument("--quick", action="store_true", help="K = 1, H = 32, two rounds, no memory")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS)
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=ORDERS)
    parser.add_argument("--steps", nargs="+", type=int, help="inner steps K (default: 1 5)")
    parser.add_argument("--hidden", nargs="+", type=int, help="hidden units H (default: 32 64 128)")
    parser.add_argument("--tasks", type=int, default=16)
    parser.add_argument("--repeats", type=int, help="rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.3, help="least time for a contender in one round")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: where other work shares the core"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser


def _settings(options: argparse.Namespace) -> list[Setting]:
    steps = options.steps or ([1] if options.quick else [1, 5])
    hidden = options.hidden or ([32] if options.quick else [32, 64, 128])
    product = itertools.product(options.cells, options.orders, steps, hidden)
    return [Setting(*each, tasks=options.tasks, device=options.device) for each in product]


def _largest(settings: list[Setting]) -> list[Setting]:
    """The one of each cell that takes the most memory."""
    ordered = sorted(settings, key=lambda each: (each.order == "second", each.inner_steps, each.hidden_size))
    return list({each.cell: each for each in ordered}.values())


def _environment(name: str) -> dict[str, str]:
    """Environment variables of a contender. Raises peers.Missing."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment.pop("HPO_ACCELERATOR", None)
    if name == "plain":
        environment["HPO_ACCELERATOR"] = "off"
    if name in PEERS:
        environment["BENCH_PEER"] = str(peers.folder(name))
    return environment


def _described(device: str, machine: Results) -> Results:
    return {
        "device": device,
        "cpu": _cpu(),
        "gpu": machine["gpu"],
        "cores": os.cpu_count(),
        "pinned_to": sorted(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": machine["torch"],
        "hpo": version("hpo"),
        "product_gflops": round(machine["flops"] / 1e9, 1),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _run(options: argparse.Namespace, bench: Bench) -> Results:
    return {
        "features": fixed.FEATURES,
        "time": fixed.TIME,
        "ways": fixed.WAYS,
        "shots": fixed.SHOTS,
        "queries": fixed.WAYS * fixed.QUERIES,
        "tasks": options.tasks,
        "inner_lr": fixed.INNER_LR,
        "dtype": "float32",
        "seed": fixed.SEED,
        "clock": bench.clock,
        "rounds": bench.repeats,
        "least_seconds_a_round": bench.seconds,
    }


def _floor(row: Results, seconds: float) -> Results:
    """How long the products of the floor take, and their share of each contender's time."""
    shares = {name: 1e3 * seconds / each["median"] for name, each in row["milliseconds"].items()}
    return {
        "floor_ms": round(1e3 * seconds, 3),
        "share_of_floor": {name: round(each, 4) for name, each in shares.items()},
    }


def _ratios(medians: dict[str, float], base: str) -> dict[str, float]:
    """How many times as fast as ``base`` the others are."""
    if base not in medians:
        return {}
    return {name: round(medians[base] / median, 3) for name, median in medians.items() if name != base}


if __name__ == "__main__":
    sys.exit(main())
