import pytest

from hpo.worker.slot import Slot


@pytest.mark.parametrize(
    ("device", "outer", "visible"),
    [
        ("cpu", None, ""),
        ("cuda:1", None, "1"),
        ("cuda:1", "4,7", "7"),
        ("cuda:0", "GPU-abc", "GPU-abc"),
        ("cpu", "3", ""),
    ],
)
def test_the_runner_sees_only_its_device(
    monkeypatch: pytest.MonkeyPatch, device: str, outer: str | None, visible: str
) -> None:
    if outer is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", outer)
    environment = Slot(device, threads=3).runner_environment()
    assert environment["CUDA_VISIBLE_DEVICES"] == visible
    assert environment["OMP_NUM_THREADS"] == "3"


def test_torch_sees_one_device() -> None:
    assert Slot("cuda:5", 1).torch_device == "cuda"
    assert Slot("cpu", 1).torch_device == "cpu"
    assert Slot("cpu", 1).worker_id != Slot("cpu", 1).worker_id
