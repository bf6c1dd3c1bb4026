"""Several trials of equal shapes as one program with a trial axis.

Rows are meta-trained together and leave one by one: pruned, stopped, diverged or complete. A row's numbers are those of
the trial trained alone, to rounding. On a CPU it does not pay (0.5-1.3 times as fast with 8 trials on a core: the
caches bind, not the overhead); on a GPU a single trial leaves most of it idle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from hpo.config import SHAPELESS, TrialConfig
from hpo.errors import Diverged
from hpo.meta.learners import fused_learner
from hpo.meta.resources import find_device, keep_freed_memory, naming_out_of_memory, reset_peak_memory
from hpo.meta.threads import use_threads
from hpo.meta.training import Events, Stopped, Trained, Training
from hpo.records import TrialOutcome, TrialSpec

Ended = Callable[[int, TrialOutcome | Stopped], None]


def program(config: TrialConfig) -> str:
    """Equal for trials that can be fused: they differ in what changes no shape only."""
    raw = config.to_dict()
    for path in SHAPELESS:
        section, _, field = path.partition(".")
        raw[section].pop(field, None)
    return repr(raw)


def meta_train_together(specs: Sequence[TrialSpec], events: Sequence[Events], ended: Ended) -> None:
    """Meta-trains trials of one :func:`program`; ``ended(i, ...)`` is called as soon as row i is over.

    Reports, checkpoints and resumes as meta_train does, row by row. Raises OutOfMemory, and InputError where the specs
    are wrong: rows that ended was not called for have not ended.
    """
    device = find_device(specs[0].device)
    use_threads(specs[0].threads, device)
    keep_freed_memory()
    reset_peak_memory(device)
    with naming_out_of_memory(), ExitStack() as stack:
        rows: dict[int, Training] = {}
        for i, (spec, own) in enumerate(zip(specs, events, strict=True)):
            directory = None if spec.checkpoint_dir is None else Path(spec.checkpoint_dir)
            training = Training.of(TrialConfig.from_dict(spec.config), device, directory, own)
            rows[i] = stack.enter_context(closing(training))
        while rows := _running(rows, ended):
            _meta_iteration(rows, ended)


def _running(rows: dict[int, Training], ended: Ended) -> dict[int, Training]:
    """Without those that have ended."""
    running = {}
    for i, row in rows.items():
        match row.has_ended():
            case None:
                running[i] = row
            case Trained(outcome=outcome):
                ended(i, outcome)
            case Stopped() as stopped:
                ended(i, stopped)
    return running


def _meta_iteration(rows: dict[int, Training], ended: Ended) -> None:
    """One step of every row's outer loop; rows that diverge are taken out."""
    fused = fused_learner([row.trial.learner for row in rows.values()])
    batches = [row.next_batch() for row in rows.values()]
    results = fused.meta_gradients([row.outer.meta for row in rows.values()], batches)
    for (i, row), result, batch in zip(list(rows.items()), results, batches, strict=True):
        try:
            row.step(*result, batch)
        except Diverged as error:
            del rows[i]
            ended(i, row.diverged(error))
