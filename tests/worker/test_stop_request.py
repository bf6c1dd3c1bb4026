from __future__ import annotations

import os
import signal

import pytest

from hpo.worker.stop_request import StoppedAtOnce, StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_asks_to_stop_and_only_ctrl_c_insists(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as request:
        os.kill(os.getpid(), number)
        assert request.asked
        for again in (signal.SIGTERM, signal.SIGUSR2):  # what Slurm sends, one after another
            os.kill(os.getpid(), again)
        with pytest.raises(StoppedAtOnce):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(number) == before
