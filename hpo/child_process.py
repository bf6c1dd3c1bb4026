"""What every process that starts one to train in needs: the environment to give it, and how it ended."""

from __future__ import annotations

import signal

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def thread_environment(threads: int) -> dict[str, str]:
    """The variables that limit a process to ``threads`` threads; the libraries read them once, when they are loaded."""
    return dict.fromkeys(_THREADS, str(threads))


def how_it_ended(code: int) -> str:
    """What an exit code of :class:`subprocess.Popen` says: ``exited with code 3``, ``was ended by SIGKILL (...)``."""
    if code >= 0:
        return f"exited with code {code}"
    name = signal.Signals(-code).name
    cause = " (by hand, or by the system when memory ran out)" if name == "SIGKILL" else ""
    return f"was ended by {name}{cause}"
