"""One contender in its own process: ``python -m tests.bench.contenders NAME`` answers JSON lines with JSON lines.

{"do": "prepare", "setting": {...}, "gradient": path}   -> {}; one meta-gradient as float32 is left in the file
{"do": "measure", "seconds": least}                     -> {"wall": [s of each meta-iteration], "cpu": [s]}
{"do": "peak"}                                          -> {"bytes": of the whole process, "device_bytes": or null}
{"do": "products", "device": device}                 -> {"flops": a second, "torch": version, "gpu": name or null}

An answer {"error": text} says what went wrong. All contenders get the same weights and the same tasks, and give the
meta-gradient of the mean query loss as a list in the order of ``torch.nn.Module.parameters``: w_ih, w_hh, b_ih, b_hh,
head.weight, head.bias.
"""

from __future__ import annotations

import copy
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.bench.setting import FEATURES, GATES, INNER_LR, QUERIES, SEED, SHOTS, TIME, WAYS, Setting

MetaGradient = Callable[[], list[Tensor]]


@dataclass(frozen=True)
class Problem:
    """Weights without a task axis; inputs (tasks, examples, time, features) and targets (tasks, examples)."""

    setting: Setting
    weights: dict[str, Tensor]
    support: tuple[Tensor, Tensor]
    query: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, setting: Setting) -> Problem:
        """The same for every contender."""
        generator = torch.Generator().manual_seed(SEED)
        hidden, rows = setting.hidden_size, GATES[setting.cell] * setting.hidden_size
        shapes = {
            "w_ih": (rows, FEATURES),
            "w_hh": (rows, hidden),
            "b_ih": (rows,),
            "b_hh": (rows,),
            "head.weight": (WAYS, hidden),
            "head.bias": (WAYS,),
        }
        weights = {
            name: torch.empty(shape).uniform_(-(hidden**-0.5), hidden**-0.5, generator=generator).to(setting.device)
            for name, shape in shapes.items()
        }

        def episode(shots: int) -> tuple[Tensor, Tensor]:
            inputs = torch.randn(setting.tasks, WAYS * shots, TIME, FEATURES, generator=generator)
            targets = torch.arange(WAYS).repeat(setting.tasks, shots)
            return inputs.to(setting.device), targets.to(setting.device)

        return cls(setting, weights, episode(SHOTS), episode(QUERIES))

    @property
    def second_order(self) -> bool:
        """Whether the inner steps are differentiated."""
        return self.setting.order == "second"

    def tasks(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Support inputs and targets, query inputs and targets of one task after another."""
        return zip(*self.support, *self.query, strict=True)


class Model(nn.Module):
    """What a user of the peers writes: torch.nn's cell and a linear head on the last output."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[problem.setting.cell]
        self.cell = kind(FEATURES, problem.setting.hidden_size, batch_first=True)
        self.head = nn.Linear(problem.setting.hidden_size, WAYS)
        self.to(problem.setting.device)
        with torch.no_grad():
            for parameter, weight in zip(self.parameters(), problem.weights.values(), strict=True):
                parameter.copy_(weight)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.cell(inputs)[0][:, -1])


def hpo(problem: Problem) -> MetaGradient:
    """Ours; HPO_ACCELERATOR in the environment says which; accelerated is never plain unnoticed."""
    from hpo.config.learner import MamlConfig
    from hpo.config.model import ModelConfig
    from hpo.meta import accelerator
    from hpo.meta.learners.maml import Maml
    from hpo.meta.network import Network
    from hpo.meta.resources import keep_freed_memory
    from hpo.meta.tasks.base import Classes, Episode, Features, TaskBatch

    keep_freed_memory()  # as every training does; the peers get no faster by it
    setting = problem.setting
    if setting.device == "cpu" and not accelerator.switched_off() and accelerator.library() is None:
        raise RuntimeError("the accelerator cannot be had on this machine")
    config = MamlConfig(kind="maml", order=setting.order, inner_steps=setting.inner_steps, inner_lr=INNER_LR)
    model = ModelConfig(cell=setting.cell, hidden_size=setting.hidden_size)
    learner = Maml(config, Network(model, Features(FEATURES), Classes(WAYS)))
    meta = {(name if "." in name else f"cell0.{name}"): weight for name, weight in problem.weights.items()}

    def episode(inputs: Tensor, targets: Tensor) -> Episode:
        return Episode(inputs, targets, torch.full_like(targets, TIME))

    batch = TaskBatch(episode(*problem.support), episode(*problem.query))

    def meta_gradient() -> list[Tensor]:
        gradient, _ = learner.meta_gradient(meta, batch)
        return [gradient[name] for name in meta]

    return meta_gradient


def learn2learn(problem: Problem) -> MetaGradient:
    """As in its examples: a clone for every task, whose query loss is backpropagated before the next task."""
    for package in ("learn2learn", "learn2learn.algorithms"):  # their own imports need gym, torchvision and a C build
        stub = ModuleType(package)
        stub.__path__ = [str(Path(os.environ["BENCH_PEER"], *package.split(".")))]
        sys.modules.setdefault(package, stub)
    from learn2learn.algorithms.maml import MAML

    maml = MAML(Model(problem), lr=INNER_LR, first_order=not problem.second_order)

    def meta_gradient() -> list[Tensor]:
        maml.zero_grad()
        for inputs, targets, query_inputs, query_targets in problem.tasks():
            learner = maml.clone()
            for _ in range(problem.setting.inner_steps):
                learner.adapt(F.cross_entropy(learner(inputs), targets))
            (F.cross_entropy(learner(query_inputs), query_targets) / problem.setting.tasks).backward()
        return [parameter.grad for parameter in maml.parameters()]

    return meta_gradient


def higher(problem: Problem) -> MetaGradient:
    """As in its examples; in first order the query gradient is taken at the fast weights, which bear no graph."""
    sys.path.append(os.environ["BENCH_PEER"])
    import higher as library

    model = Model(problem)
    optimizer = torch.optim.SGD(model.parameters(), lr=INNER_LR)
    second = problem.second_order

    def meta_gradient() -> list[Tensor]:
        total = [torch.zeros_like(parameter) for parameter in model.parameters()]
        for inputs, targets, query_inputs, query_targets in problem.tasks():
            context = library.innerloop_ctx(model, optimizer, copy_initial_weights=False, track_higher_grads=second)
            with context as (fast, inner):
                for _ in range(problem.setting.inner_steps):
                    inner.step(F.cross_entropy(fast(inputs), targets))
                loss = F.cross_entropy(fast(query_inputs), query_targets) / problem.setting.tasks
                gradients = torch.autograd.grad(loss, list(fast.parameters(time=0 if second else -1)))
            torch._foreach_add_(total, gradients)
        return total

    return meta_gradient


def nn_loop(problem: Problem) -> MetaGradient:
    """No library: torch.nn's fused kernels and a loop over tasks."""
    return _nn_second(problem) if problem.second_order else _nn_first(problem)


def _nn_first(problem: Problem) -> MetaGradient:
    model = Model(problem)
    fast_model = copy.deepcopy(model)
    theta, fast = list(model.parameters()), list(fast_model.parameters())

    def gradient(inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(F.cross_entropy(fast_model(inputs), targets), fast)

    def meta_gradient() -> list[Tensor]:
        total = [torch.zeros_like(parameter) for parameter in theta]
        for inputs, targets, query_inputs, query_targets in problem.tasks():
            with torch.no_grad():
                torch._foreach_copy_(fast, theta)
            for _ in range(problem.setting.inner_steps):
                gradients = gradient(inputs, targets)
                with torch.no_grad():
                    torch._foreach_sub_(fast, gradients, alpha=INNER_LR)
            torch._foreach_add_(total, gradient(query_inputs, query_targets), alpha=1 / problem.setting.tasks)
        return total

    return meta_gradient


def _nn_second(problem: Problem) -> MetaGradient:
    model = Model(problem)
    names, theta = zip(*model.named_parameters(), strict=True)

    def loss(fast: tuple[Tensor, ...], inputs: Tensor, targets: Tensor) -> Tensor:
        predictions = torch.func.functional_call(model, dict(zip(names, fast, strict=True)), (inputs,))
        return F.cross_entropy(predictions, targets)

    def meta_gradient() -> list[Tensor]:
        total = [torch.zeros_like(parameter) for parameter in theta]
        for inputs, targets, query_inputs, query_targets in problem.tasks():
            fast = theta
            for _ in range(problem.setting.inner_steps):
                gradients = torch.autograd.grad(loss(fast, inputs, targets), fast, create_graph=True)
                fast = tuple(p - INNER_LR * g for p, g in zip(fast, gradients, strict=True))
            gradients = torch.autograd.grad(loss(fast, query_inputs, query_targets), theta)
            torch._foreach_add_(total, gradients, alpha=1 / problem.setting.tasks)
        return total

    return meta_gradient


CONTENDERS: dict[str, Callable[[Problem], MetaGradient]] = {
    "plain": hpo,
    "accelerated": hpo,
    "learn2learn": learn2learn,
    "higher": higher,
    "nn loop": nn_loop,
}


class Answers:
    """What this process says to each request."""

    def __init__(self, name: str) -> None:
        self._contender = CONTENDERS.get(name)
        self._meta_gradient: MetaGradient | None = None
        self._device = torch.device("cpu")

    def prepare(self, setting: dict[str, Any], gradient: str) -> dict[str, Any]:
        """Builds the contender for a setting and warms it up."""
        problem = Problem.of(Setting(**setting))
        self._device = torch.device(problem.setting.device)
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.enabled = not problem.second_order  # its recurrent kernels have no double backward
        self._meta_gradient = self._contender(problem)
        self._meta_gradient()
        flat = torch.cat([part.detach().flatten() for part in self._meta_gradient()]).cpu()
        Path(gradient).write_bytes(flat.numpy().tobytes())
        return {}

    def measure(self, seconds: float) -> dict[str, Any]:
        """Times whole meta-iterations, one at least, until ``seconds`` have passed."""
        wall: list[float] = []
        cpu: list[float] = []
        while sum(wall) < seconds or not wall:
            start = time.process_time()
            wall.append(self._timed(self._meta_gradient))
            cpu.append(time.process_time() - start)
        return {"wall": wall, "cpu": cpu}

    def peak(self) -> dict[str, Any]:
        """Of the process since it started, and what torch ever held on the GPU."""
        cuda = self._device.type == "cuda"
        return {"bytes": _peak(), "device_bytes": torch.cuda.max_memory_allocated() if cuda else None}

    def products(self, device: str) -> dict[str, Any]:
        """The best rate of several large float32 products."""
        self._device = torch.device(device)
        best = 0.0
        for size in (512, 1024, 2048) if device == "cpu" else (2048, 4096, 8192):
            a, b, out = torch.randn(3, size, size, device=device)
            product = _Product(a, b, out)
            product()
            seconds = min(self._timed(product) for _ in range(2**13 // size))
            best = max(best, 2 * size**3 / seconds)
        gpu = torch.cuda.get_device_name() if device == "cuda" else None
        return {"flops": best, "torch": torch.__version__, "gpu": gpu}

    def _timed(self, work: Callable[[], Any]) -> float:
        self._synchronize()
        start = time.perf_counter()
        work()
        self._synchronize()
        return time.perf_counter() - start

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


@dataclass(frozen=True)
class _Product:
    a: Tensor
    b: Tensor
    out: Tensor

    def __call__(self) -> None:
        torch.mm(self.a, self.b, out=self.out)


def _peak() -> int:
    """Bytes. On Linux ru_maxrss starts at what the parent held when it started this process; VmHWM does not."""
    status = Path("/proc/self/status")
    if status.exists():
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:")) * 1024
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Reads requests until there are no more; what libraries print goes to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    answers = Answers(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(answers, request.pop("do"))(**request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
