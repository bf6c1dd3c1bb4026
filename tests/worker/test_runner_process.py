"""The worker's side of a runner that behaves badly, played by small programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from hpo.protocol import Finished, Ready, Stop, to_line
from hpo.records import Outcome, TrialOutcome
from hpo.worker import runner_process
from hpo.worker.runner_process import RunnerDied, RunnerProcess, RunnerUnusable
from hpo.worker.slot import Slot

READY = 'print(\'{"type": "ready"}\', flush=True)'
Start = Callable[[str], RunnerProcess]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    started: list[RunnerProcess] = []
    popen = runner_process.subprocess.Popen

    def start(program: str) -> RunnerProcess:
        def play(command: list[str], **options: Any) -> Any:
            return popen([sys.executable, "-c", program], **options)

        monkeypatch.setattr(runner_process.subprocess, "Popen", play)
        runner = RunnerProcess(Slot("cpu", 1))
        runner.start()
        started.append(runner)
        return runner

    yield start
    for runner in started:
        runner.kill()


def receive_all(runner: RunnerProcess, within_s: float = 10.0) -> list[object]:
    """Everything until the runner is reported dead."""
    received: list[object] = []
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        received.append(runner.receive(0.1))
    return received


@pytest.mark.parametrize(
    "last_words", ["print('{\"type\": \"rep', end='', flush=True)", "sys.stdout.buffer.write(b'\\xff\\n')"]
)
def test_half_a_line_is_the_end_of_it(start: Start, last_words: str) -> None:
    runner = start(f"import os, sys\n{READY}\n{last_words}\nsys.stdout.flush()\nos.kill(os.getpid(), 9)")
    with pytest.raises(RunnerDied, match="SIGKILL"):
        receive_all(runner)


def test_a_grandchild_that_holds_the_output_open_is_not_waited_for(start: Start) -> None:
    runner = start(f"import os, time\n{READY}\nif os.fork():\n    os._exit(3)\ntime.sleep(30)")
    with pytest.raises(RunnerDied, match="exited with code 3"):
        receive_all(runner)


def test_one_that_never_was_ready_is_no_trials_fault(start: Start) -> None:
    runner = start("import sys; sys.exit(1)")
    with pytest.raises(RunnerUnusable, match="cannot start: the runner exited with code 1"):
        receive_all(runner)


def test_it_is_started_again_after_its_death(start: Start) -> None:
    runner = start(READY)
    with pytest.raises(RunnerDied):
        receive_all(runner)
    runner.start()
    assert runner.receive(5.0) == Ready()
    runner.send(Stop(trial_id=1))  # to a process that is ending: no error


@pytest.mark.parametrize(("outcome", "is_replaced"), [(Outcome.OUT_OF_MEMORY, True), (Outcome.ERROR, False)])
def test_one_that_ran_out_of_memory_is_replaced(start: Start, outcome: Outcome, is_replaced: bool) -> None:
    ended = Finished(trial_id=1, outcome=TrialOutcome(outcome=outcome, reason="CUDA out of memory"))
    runner = start(f"import sys\n{READY}\nprint({to_line(ended)!r}, end='', flush=True)\nsys.stdin.read()")
    assert [runner.receive(5.0), runner.receive(5.0)] == [Ready(), ended]
    before = runner.pid
    runner.start()
    assert (runner.pid != before) is is_replaced
    assert before is not None
    assert psutil.pid_exists(before) is not is_replaced


def test_close_ends_it_by_the_end_of_its_input(start: Start) -> None:
    runner = start(f"import sys\n{READY}\nsys.stdin.read()")
    assert runner.receive(5.0) == Ready()
    runner.close()
    with pytest.raises(RunnerDied, match="exited with code 0"):
        receive_all(runner)


def test_it_is_killed_with_all_that_it_has_started(start: Start) -> None:
    runner = start(f"import os, sys, time, subprocess\nsubprocess.Popen(['sleep', '60'])\n{READY}\ntime.sleep(60)")
    assert isinstance(runner.receive(10.0), Ready)
    (child,) = psutil.Process(runner.pid).children()
    assert not runner.was_killed
    runner.kill()
    assert runner.was_killed
    gone, alive = psutil.wait_procs([child], timeout=10.0)
    assert (gone, alive) == ([child], [])
