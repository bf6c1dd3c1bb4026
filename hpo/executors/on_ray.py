"""Workers in a Ray cluster, one an actor."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from hpo.config.execution import ExecutionConfig
from hpo.executors.base import ClusterUnusable
from hpo.executors.worker_process import STOP_GRACE_S, WorkerPlan, WorkerProcess, WorkersFailed

NAMESPACE = "hpo"
ANSWER_S = 5.0  # an actor that does not answer for so long has no place, or has lost it
_TEND_EVERY_S = 0.5
_LAST_ANSWER_S = 2.0
_LINGER_S = 15.0  # an actor whose worker has ended stays for so long, so that the launch hears how
_QUIET = {  # Ray asks the environment; what the user has set there stays
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}


@dataclass(frozen=True)
class Condition:
    """What an actor says of its worker; ``last_words`` where it is dead for good."""

    ended: bool = False
    last_words: str | None = None


class WorkerActor:
    """Keeps one worker alive, as its child: in an actor's own process signals and standard output are Ray's.

    The child is what runs on every other machine, so a stop, a checkpoint and a crash are what they are there. When the
    actor dies, with its node or alone, the child sees its standard input end and lets go of its trial.
    """

    def __init__(self, plan: WorkerPlan) -> None:
        there = plan.folder if plan.folder is not None and plan.folder.is_dir() else None
        self._worker = WorkerProcess(replace(plan, folder=there), with_parent=True)
        self._worker.start()
        self._stopping = False
        self._self = ray.get_runtime_context().current_actor
        threading.Thread(target=self._supervise, name="supervise", daemon=True).start()

    def condition(self) -> Condition:
        """How the worker fares."""
        if self._worker.given_up:
            return Condition(ended=True, last_words=self._worker.last_words())
        return Condition(ended=self._worker.finished)

    def stop(self) -> None:
        """Returns when the worker has let go of its trial and ended."""
        self._stopping = True
        self._worker.stop()

    def _supervise(self) -> None:
        """Nobody else may be there: ``hpo launch --detach`` has left."""
        while not (self._stopping or self._worker.finished or self._worker.given_up):
            self._worker.tend()
            time.sleep(_TEND_EVERY_S)
        time.sleep(_LINGER_S)
        ray.kill(self._self, no_restart=True)


class _Seat:
    """An actor as the launch sees it, which asks it again and again how its worker fares."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.condition = Condition()
        self.waiting = True
        self._asked_at = time.monotonic()
        self.answer = actor.condition.remote()

    def look(self) -> None:
        """Takes the answer where there is one."""
        if self.condition.ended:
            return
        answered, _ = ray.wait([self.answer], timeout=0)
        if not answered:
            self.waiting = self.waiting or time.monotonic() - self._asked_at > ANSWER_S
            return
        try:
            self.condition = ray.get(self.answer)
        except RayActorError:  # it has ended itself, or somebody has ended it, for good
            self.condition = Condition(ended=True)
        self.waiting = False
        self._asked_at, self.answer = time.monotonic(), self.actor.condition.remote()


class RayExecutor:
    """``plan``: what each worker is started with; its log's name is numbered. ``key``: which study of which database.

    Actors are named and detached: Ray starts those that lose their node again on another one, those that find no place
    wait for one, and they outlive a launch that is killed; the next one takes them over.
    """

    def __init__(self, execution: ExecutionConfig, plan: WorkerPlan, logs: Path, key: str) -> None:
        self._execution = execution
        self._plan = plan
        self._logs = logs
        self._key = key
        self._seats: list[_Seat] = []

    @property
    def alive(self) -> int:
        """How many workers run or wait."""
        return sum(not seat.condition.ended for seat in self._seats)

    @property
    def waiting(self) -> int:
        """How many of these wait for resources."""
        return sum(seat.waiting and not seat.condition.ended for seat in self._seats)

    def start(self) -> None:
        """Joins the cluster, makes the actors that are missing and ends those of other sizes or beyond the number."""
        _join(self._execution.address or "auto")
        wanted = {f"{self._key}/{self._size}/{i}": i for i in range(self._execution.workers or 1)}
        there = [name for name in ray.util.list_named_actors() if name.startswith(f"{self._key}/")]
        _stop([ray.get_actor(name) for name in there if name not in wanted])
        self._seats = [_Seat(self._actor(name, number)) for name, number in wanted.items()]

    def tend(self) -> None:
        """Ray replaces actors, and actors their workers. Raises WorkersFailed once no worker is left and one failed."""
        self._look()
        failed = [seat.condition.last_words for seat in self._seats if seat.condition.last_words is not None]
        if failed and self.alive == 0:
            raise WorkersFailed(failed[0])

    def stop(self) -> None:
        """Every worker lets go of its trial; the cluster is left."""
        if not ray.is_initialized():
            return
        if self._seats:
            ray.wait([seat.answer for seat in self._seats], num_returns=len(self._seats), timeout=_LAST_ANSWER_S)
            self._look()
        running = [seat.actor for seat in self._seats if not (seat.waiting or seat.condition.ended)]
        _stop(running)
        _kill(seat.actor for seat in self._seats if seat.actor not in running)
        ray.shutdown()

    def _look(self) -> None:
        for seat in self._seats:
            seat.look()

    @property
    def _size(self) -> str:
        return f"{self._execution.cpus_per_worker or 1}cpu-{self._execution.gpus_per_worker or 0:g}gpu"

    def _actor(self, name: str, number: int) -> Any:
        options: dict[str, Any] = {
            "name": name,
            "get_if_exists": True,
            "lifetime": "detached",
            "num_cpus": self._execution.cpus_per_worker or 1,
            "num_gpus": self._execution.gpus_per_worker or 0,
            "max_restarts": -1,
            "max_task_retries": -1,
            "max_concurrency": 2,  # it answers while it stops
        }
        plan = replace(self._plan, log=self._logs / f"worker-{number}.log")
        return ray.remote(WorkerActor).options(**options).remote(plan)


def _join(address: str) -> None:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        return
    dashboard = False if address == "local" else None  # None: the cluster's own business
    try:
        with _own_signals():
            ray.init(
                address,
                namespace=NAMESPACE,
                include_dashboard=dashboard,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        instead = "start one with  ray start --head  or set  execution: {address: local}"
        raise ClusterUnusable(f"no Ray cluster answers at execution.address: {address}: {error}; {instead}") from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """ray.init takes SIGTERM for itself, and would end a launch without its workers' checkpoints."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _stop(actors: list[Any]) -> None:
    answers = [actor.stop.remote() for actor in actors]
    if answers:
        ray.wait(answers, num_returns=len(answers), timeout=STOP_GRACE_S + 1.0)
    _kill(actors)


def _kill(actors: Iterable[Any]) -> None:
    for actor in actors:
        with suppress(RayError):
            ray.kill(actor, no_restart=True)
