from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hpo.config import TrialConfig
from hpo.meta.gradients import Way
from hpo.meta.learners import chunks
from hpo.meta.loop import train
from hpo.meta.profile import component, profiled

Make = Callable[..., TrialConfig]


class Silent:
    """Events that nobody hears."""

    def report(self, report: object) -> None: ...

    def checkpointed(self, meta_iteration: int, path: object) -> None: ...

    def interruption(self) -> None: ...


def test_time_belongs_to_the_outermost_component() -> None:
    with profiled() as profile:
        with component("outer"):
            time.sleep(0.02)
            with component("inner"):
                time.sleep(0.02)
        with component("inner"):
            time.sleep(0.01)
        time.sleep(0.01)
        found = profile.complete()
    assert found["outer"] >= 0.04
    assert 0.01 <= found["inner"] < 0.04
    assert found["other"] >= 0.01


def test_without_a_profile_nothing_is_measured() -> None:
    with component("alone"):
        pass
    with profiled() as profile:
        assert set(profile.complete()) == {"other"}


def test_what_raises_is_measured_too() -> None:
    with profiled() as profile:
        with pytest.raises(ValueError, match="no"), component("failing"):
            raise ValueError("no")
        with component("next"):
            pass
        assert set(profile.complete()) == {"failing", "next", "other"}


@pytest.mark.parametrize("way", [Way.ACCELERATED, Way.RECURRENCES, Way.AUTOGRAD])
def test_a_training_is_profiled_whichever_way_it_goes(
    trial_config: Make, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    from hpo.meta import gradients

    if way is Way.ACCELERATED and gradients.accelerator.library() is None:
        pytest.skip("no accelerator: there is no C++ compiler, or HPO_ACCELERATOR=off")
    for module in (gradients, chunks):
        monkeypatch.setattr(module, "way", lambda *_: way)
    began = time.perf_counter()
    with profiled() as profile:
        train(trial_config(), "cpu", None, Silent())
        found = profile.complete()
    assert set(found) >= {"data", "forward", "adjoint", "curvature", "outer step", "evaluation", "reporting", "other"}
    assert ("tangent" in found) == (way is not Way.AUTOGRAD), "autograd walks its graph without one"
    assert sum(found.values()) <= time.perf_counter() - began
