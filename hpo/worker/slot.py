"""One share of one device, and who works on it."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass, field

from hpo.child_process import thread_environment


@dataclass(frozen=True)
class Slot:
    """``device`` as a person names it on this machine: ``cpu`` or ``cuda:N``."""

    device: str
    threads: int
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    worker_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def torch_device(self) -> str:
        """The device inside the runner, which sees only this one."""
        return "cuda" if self.device.startswith("cuda") else "cpu"

    def runner_environment(self) -> dict[str, str]:
        """The runner's environment: its one device, and its share of the cores."""
        # By bus, as nvidia-smi numbers them; CUDA's own order puts the fastest first.
        devices = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": self._visible_device()}
        return {**os.environ, **thread_environment(self.threads), **devices}

    def _visible_device(self) -> str:
        if not self.device.startswith("cuda"):
            return ""
        index = int(self.device.partition(":")[2] or 0)
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        return visible[index] if index < len(visible) else str(index)
