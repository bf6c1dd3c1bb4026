"""``sampler:``, ``pruner:``, ``stop:`` and ``execution:`` how a study is carried out."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hpo.config.cluster import as_time_limit, one_line, sbatch_options
from hpo.config.section import Section

_DEVICE = re.compile(r"cpu|cuda:(0|[1-9][0-9]{0,3})")
Line = Annotated[str, AfterValidator(one_line)]
MOST_FUSED = 32  # that many suggestions take half a minute, in which nobody else asks


class SamplerConfig(Section):
    """Who proposes the next trial's hyperparameters."""

    kind: Literal["gp_ei", "random", "tpe", "gp"] = Field(
        "gp_ei", description="gp_ei: ours, on BoTorch; gp: Optuna's GPSampler; tpe and random: Optuna's"
    )
    startup_trials: int = Field(8, ge=1, description="space-filling trials before the surrogate is asked")
    cost_aware: bool = Field(
        False, description="gp_ei: weigh the expected improvement against the seconds of a training, less so to the end"
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="of the start-up points and, with the worker's own number, of the search"
    )


class PrunerConfig(Section):
    """Whether bad trials are ended early: ``asha`` is asynchronous successive halving (Li et al. 2020)."""

    kind: Literal["asha", "none"] = "asha"
    min_iterations: int | None = Field(
        None, ge=1, description="the first rung in meta-iterations; default: training.eval_every"
    )
    reduction_factor: int = Field(3, ge=2, description="one trial in this many is promoted at a rung")


class StopConfig(Section):
    """When a study is done."""

    trials: int = Field(24, ge=1, description="trials of the search, whatever their outcome (ok, pruned, failed)")
    hours: float | None = Field(
        None,
        gt=0.0,
        description="end the search early, once its trials have been trained for so long, all devices together; those"
        " that run are trained to their end; null: no limit",
    )
    when_settled: bool = Field(
        False,
        description="end the search early, once all trials that are left are expected to gain less together than the"
        " noise lets one see",
    )
    confirm: int = Field(
        0, ge=0, le=100, description="how many of the likely best configs are trained again, with new seeds, at the end"
    )
    confirm_seeds: int = Field(
        3, ge=1, le=100, description="new seeds for each of them; the standard error of fewer than 3 says little"
    )

    @property
    def may_end_early(self) -> bool:
        """Whether the search has a limit beside the number of its trials."""
        return self.when_settled or self.hours is not None


def _devices(found: Any) -> Any:
    if found in ("auto", "cpu", "cuda"):
        return found
    if not isinstance(found, list) or not found:
        raise ValueError(f"found {found!r}, expected auto, cpu, cuda or a list such as [cuda:0, cuda:1]")
    for device in found:
        if not (isinstance(device, str) and _DEVICE.fullmatch(device)):
            raise ValueError(f"found {device!r} in the list, expected cpu or cuda:N with N from 0")
    if len(set(found)) < len(found):
        raise ValueError(f"{found} holds a device twice; slots_per_device puts several trials on one")
    return found


def _fuse(found: Any) -> Any:
    if found == "auto" or (isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= MOST_FUSED):
        return found
    raise ValueError(f"found {found!r}, expected auto or how many trials, from 1 to {MOST_FUSED}")


class ExecutionConfig(Section):
    """Where trials run."""

    executor: Literal["local", "ray", "slurm"] = Field(
        "local", description="local: this machine; ray, slurm: as many workers as are asked for, in a cluster"
    )
    priority: int = Field(
        0, ge=-100, le=100, description="workers take trials of the study with the highest; equal ones share them alike"
    )
    devices: Annotated[Literal["auto", "cpu", "cuda"] | list[str], BeforeValidator(_devices)] = Field(
        "auto", description="auto: all GPUs, else the CPU; or a list such as [cuda:0, cuda:2]"
    )
    slots_per_device: int = Field(1, ge=1, le=256, description="trials that share one device")
    fuse: Annotated[Literal["auto"] | int, BeforeValidator(_fuse)] = Field(
        "auto",
        description="trials that a worker asks for at once; those of equal shapes are trained as one program."
        " auto: 8 on a GPU where the search leaves shapes equal, else 1",
    )
    max_attempts: int = Field(3, ge=1, description="attempts at one trial in all, before it fails as lost")
    lease_s: float = Field(60.0, ge=1.0, description="seconds without a sign of life until a trial is taken over")
    trial_timeout_s: float | None = Field(
        None,
        gt=0.0,
        description="seconds of training, over all attempts, after which a trial is ended as timeout; of trials that"
        " are fused as many times that. default: no limit",
    )

    address: Line | None = Field(None, description="ray: auto (the default), local, or host:port of its head")
    workers: int | None = Field(None, ge=1, le=10_000, description="ray, slurm: how many; default 1")
    gpus_per_worker: float | None = Field(
        None, ge=0.0, le=1.0, description="ray: 0.25 has four workers share a GPU; slurm: 0 or 1; default 0"
    )
    cpus_per_worker: int | None = Field(None, ge=1, le=1024, description="ray, slurm: its CPU threads; default 1")
    memory_gb: float | None = Field(None, gt=0.0, description="slurm: of a worker; default: the partition's")
    partition: Line | None = Field(None, description="slurm: default: the cluster's")
    time_limit: Annotated[int | str | None, BeforeValidator(as_time_limit)] = Field(
        None, description="slurm: minutes, or H:MM:SS, after which a worker has checkpointed and is queued again"
    )
    setup: tuple[Line, ...] = Field((), description="slurm: lines of the job's script before the worker starts")
    extra: Annotated[dict[str, str | int | float | bool], BeforeValidator(sbatch_options)] = Field(
        default_factory=dict, description="slurm: other options of sbatch, such as {account: lab, qos: long}"
    )

    @property
    def worker_device(self) -> str | None:
        """What a worker in a cluster is told to train on; None: the GPU that it is shown, else the CPU."""
        if self.devices == "cpu" or not self.gpus_per_worker:
            return "cpu"
        return "cuda:0" if self.devices == "cuda" else None
