"""Real studies with real workers and runners, made as small as they can be and still be real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

CONFIG: dict[str, Any] = {
    "name": "small",
    "tasks": {"kind": "sinusoid", "shots": 3, "queries": 3, "window": 4},
    "model": {"cell": "lstm", "hidden_size": 4},
    "learner": {"kind": "maml", "inner_steps": 1, "inner_lr": 0.05},
    "training": {"meta_batch": 2, "meta_iterations": 6, "eval_tasks": 8, "eval_every": 2},
    "search": {
        "learner.inner_lr": {"type": "float", "low": 0.001, "high": 0.5, "log": True},
        "model.cell": {"type": "categorical", "choices": ["rnn", "gru", "lstm"]},
        "model.hidden_size": {"type": "int", "low": 2, "high": 6},
    },
    "sampler": {"startup_trials": 3},
    "pruner": {"kind": "none"},
    "stop": {"trials": 5},
    "execution": {"devices": "cpu", "slots_per_device": 1, "lease_s": 3.0},
}


class Hpo:
    """The command line in a folder of its own, with a database of its own."""

    def __init__(self, folder: Path, storage: str) -> None:
        self.folder = folder
        self.storage = storage
        self.environment = {
            **os.environ,
            "HPO_STORAGE": storage,
            "OMP_NUM_THREADS": "1",
            "HPO_HOME": str(folder / ".hpo"),
        }
        self.environment.pop("HPO_DEBUG", None)
        self._started: list[subprocess.Popen[str]] = []

    def write(self, **changes: dict[str, Any]) -> Path:
        """CONFIG with some sections changed, as a file."""
        return self.replace(**{key: {**CONFIG.get(key, {}), **value} for key, value in changes.items()})

    def replace(self, **sections: dict[str, Any]) -> Path:
        """CONFIG with some sections replaced, as a file."""
        path = self.folder / "study.yaml"
        path.write_text(yaml.safe_dump({**CONFIG, **sections}))
        return path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on in the background."""
        process = subprocess.Popen(
            [sys.executable, "-m", "hpo.cli.main", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """A command that is waited for; its standard output."""
        done = self._run(arguments)
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def try_run(self, *arguments: str) -> str | None:
        """A command's standard output; None where it failed."""
        done = self._run(arguments)
        return done.stdout if done.returncode == 0 else None

    def _run(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hpo.cli.main", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    def close(self) -> None:
        """Nothing is left behind."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


def wait_until(condition: Callable[[], Any], timeout: float = 60.0) -> Any:
    """The first true value of ``condition()``."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come to pass in time")
