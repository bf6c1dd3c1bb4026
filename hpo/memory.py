"""How much memory a trial will take, from its shapes alone, before anything is allocated.

A meta-gradient keeps, for each row of each time step of each inner step, some numbers a hidden unit and layer; how many
tasks are computed at a time is chosen so that they fit a budget (:mod:`hpo.meta.learners.chunks`), but one task is the
least. So memory grows without bound only with one task: its examples, their length, the network, the inner steps.

    rows         support and query examples of one task x their length
    each         rows (inner steps + 1) layers hidden KEPT + 2 (inner steps + 2) parameters, numbers of 4 bytes
    predicted    base + min(tasks, max(1, budget / each)) each + the optimizer's copies of the parameters

Measured peaks of the same study's trials correct it by their median ratio (:func:`calibration`).
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from hpo.config import TrialConfig

KEPT = 20  # numbers that a pass keeps for each row and hidden unit: an LSTM's, the most
REAL = 4  # bytes
CPU_BUDGET, GPU_BUDGET = 2**28, 2**33  # bytes of the tasks that are computed at a time; more make it no faster
CPU_BASE, GPU_BASE = 350 * 2**20, 64 * 2**20  # of a process with PyTorch; on a GPU what its tensors begin with
COPIES = 8  # of the meta-parameters: themselves, two moments, gradients and what is summed up in between
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def predicted_bytes(config: TrialConfig, device: str) -> int:
    """Peak of one trial on ``cpu`` or ``cuda:N``, as its record has it: of the process, or of a GPU's tensors."""
    on_gpu = device.startswith("cuda")
    steps = getattr(config.learner, "inner_steps", 1)
    network, number = config.model, parameters(config)
    rows = config.tasks.examples_a_task() * config.tasks.longest_example()
    each = REAL * (rows * (steps + 1) * network.layers * network.hidden_size * KEPT + 2 * (steps + 2) * number)
    at_once = min(config.training.meta_batch, max(1, (GPU_BUDGET if on_gpu else CPU_BUDGET) // each))
    return (GPU_BASE if on_gpu else CPU_BASE) + at_once * each + COPIES * REAL * number


def parameters(config: TrialConfig) -> int:
    """Numbers that are learned, but for those of the head: of the recurrent layers and an embedding."""
    network = config.model
    hidden, gates = network.hidden_size, GATES[network.cell]
    first = gates * hidden * (network.embedding_size + hidden + 1)
    return first + (network.layers - 1) * gates * hidden * (2 * hidden + 1)


def calibration(measured: Iterable[tuple[int, int]]) -> float:
    """What to multiply predictions with, given pairs of a prediction and the peak that was measured; 1.0 of none."""
    ratios = [peak / predicted for predicted, peak in measured if peak > 0]
    return median(ratios) if ratios else 1.0
