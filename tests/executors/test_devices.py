import os
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import DeviceNotFound
from hpo.executors import devices
from hpo.worker.slot import Slot

NVIDIA_SMI = """#!/bin/sh
case "$*" in
  "-L --id=0") echo "GPU 0: NVIDIA H200 (UUID: GPU-aaaa-1)" ;;
  "-L --id=1") echo "GPU 1: NVIDIA H100 (UUID: GPU-bbbb-2)"; cat "$0.slices" 2>/dev/null ;;
  *index,uuid,name,memory.total,memory.free*)
    echo "0, GPU-aaaa-1, NVIDIA H200, 143771, 140000"
    echo "1, GPU-bbbb-2, NVIDIA H100, 81559, [N/A]" ;;
esac
"""
SLICES = """  MIG 3g.40gb     Device  0: (UUID: MIG-cccc-3)
  MIG 1g.10gb+me  Device  1: (UUID: MIG-dddd-4)
"""


@pytest.fixture
def no_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("no_gpus")
def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    assert [device.name for device in devices.choose("auto")] == ["cpu"]


@pytest.mark.usefixtures("no_gpus")
@pytest.mark.parametrize(
    ("wish", "asks"),
    [("cuda", "devices: cuda asks for a GPU"), (["cuda:0"], "asks for 'cuda:0'"), (["cpu", "cuda:3"], "for 'cuda:3'")],
)
def test_a_gpu_that_is_not_there_is_named(wish: Any, asks: str) -> None:
    with pytest.raises(DeviceNotFound, match=f"{asks}, but this machine has only: cpu; use  devices: auto"):
        devices.choose(wish)


@pytest.mark.usefixtures("two_gpus")
def test_gpus_are_read_from_the_driver() -> None:
    found = devices.choose("auto")
    assert [(device.name, device.description) for device in found] == [
        ("cuda:0", "NVIDIA H200"),
        ("cuda:1", "NVIDIA H100"),
    ]
    assert found[0].memory_bytes == 143771 * 2**20
    assert devices.choose("cuda") == found
    assert devices.choose(["cuda:1"]) == found[1:]


@pytest.mark.usefixtures("two_gpus")
def test_free_memory_and_uuid(tmp_path: Path) -> None:
    one, other = devices.gpus()
    assert (one.uuid, one.free_bytes) == ("GPU-aaaa-1", 140000 * 2**20)
    assert (other.uuid, other.free_bytes) == ("GPU-bbbb-2", None)


@pytest.mark.usefixtures("two_gpus")
def test_slices_of_a_gpu_are_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi.slices").write_text(SLICES)
    assert [(device.name, device.uuid, device.memory_bytes) for device in devices.gpus()] == [
        ("cuda:0", "GPU-aaaa-1", 143771 * 2**20),
        ("cuda:1", "MIG-cccc-3", 40 * 2**30),
        ("cuda:2", "MIG-dddd-4", 10 * 2**30),
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-dddd")
    (admitted,) = devices.gpus()
    assert (admitted.name, admitted.description) == ("cuda:0", "NVIDIA H100 MIG 1g.10gb+me")


@pytest.mark.usefixtures("two_gpus")
def test_a_worker_and_its_runner_mean_the_same_device_by_its_uuid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia-smi.slices").write_text(SLICES)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-cccc-3,0")
    devices.pin_by_uuid()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "MIG-cccc-3,GPU-aaaa-1"
    shown = Slot("cuda:1", 1).runner_environment()["CUDA_VISIBLE_DEVICES"]
    assert shown == "GPU-aaaa-1"
    assert [device.name for device in devices.gpus()] == ["cuda:0", "cuda:1"]


@pytest.mark.usefixtures("no_gpus")
def test_without_a_gpu_nothing_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices.pin_by_uuid()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("visible", "names"), [("1", ["NVIDIA H100"]), ("GPU-bbbb,0", ["NVIDIA H100", "NVIDIA H200"]), ("", [])]
)
def test_visible_devices_are_respected(monkeypatch: pytest.MonkeyPatch, visible: str, names: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [device.description for device in devices.gpus()] == names


def test_cores_are_divided_among_all_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 16)
    gpus = [devices.Device("cuda:0", ""), devices.Device("cuda:1", "")]
    assert devices.plan_slots(gpus, 2) == [
        devices.SlotPlan(name, 4) for name in ("cuda:0", "cuda:0", "cuda:1", "cuda:1")
    ]
    assert devices.plan_slots([devices.cpu()], 32)[0].threads == 1
