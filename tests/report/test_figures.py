from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from hpo.records import AdaptationCurve, CurvePoint, Estimate
from hpo.report.curves import Line, RankedCurve, measures
from hpo.report.study_figure import study_figure
from hpo.report.trial_figure import trial_svg

SVG = "{http://www.w3.org/2000/svg}"


def curve(losses: list[float], split: str = "validation", accuracy: bool = True) -> AdaptationCurve:
    points = [
        CurvePoint(
            inner_step=step,
            loss=Estimate(mean=loss, sem=0.1),
            accuracy=Estimate(mean=0.5, sem=0.02) if accuracy else None,
        )
        for step, loss in enumerate(losses)
    ]
    return AdaptationCurve(split=split, tasks=200, points=tuple(points))


def ranked(count: int, steps: int = 7, accuracy: bool = True) -> list[RankedCurve]:
    return [
        RankedCurve(
            number=10 + rank,
            objective=Estimate(mean=0.5 + rank, sem=0.01),
            curve=curve([1.6 - step / (rank + 2) for step in range(steps)], accuracy=accuracy),
            trained_steps=3,
        )
        for rank in range(count)
    ]


def plot(trials: list[RankedCurve]) -> dict[str, Any]:
    """As the dashboard's Plotly gets it."""
    figure: dict[str, Any] = json.loads(study_figure(trials, "query_loss").to_json())
    return figure


def test_a_line_is_the_mean_and_one_standard_error() -> None:
    line = Line.of(curve([1.5, 0.5]), "loss")
    assert line == Line(steps=[0, 1], mean=[1.5, 0.5], low=[1.4, 0.4], high=[1.6, 0.6])


def test_regression_has_no_accuracy() -> None:
    regression = curve([1.0, 0.5], accuracy=False)
    assert Line.of(regression, "accuracy") is None
    assert measures([regression]) == ["loss"]
    assert measures([regression, curve([1.0])]) == ["loss", "accuracy"]


def test_every_trial_is_drawn_in_every_panel() -> None:
    lines = [trace for trace in plot(ranked(10))["data"] if "markers" in trace["mode"]]
    drawn = [(trace["yaxis"], trace["hovertemplate"].split(",")[0]) for trace in lines]
    assert sorted(drawn) == sorted((axis, f"trial {10 + rank}") for axis in ("y", "y2") for rank in range(10))


def test_the_best_are_highlighted_and_the_very_best_lies_on_top() -> None:
    traces = plot(ranked(10))["data"]
    bands = [trace for trace in traces if trace.get("fill") == "toself"]
    assert len(bands) == 3 * 2
    assert traces[-1]["name"] == "trial 10: 0.500 ± 0.010 (likely best)"
    legend = [trace["name"] for trace in traces if trace["showlegend"]]
    assert legend == ["4th to 10th best", "trial 12: 2.500 ± 0.010", "trial 11: 1.500 ± 0.010", traces[-1]["name"]]


def test_a_band_goes_there_and_back() -> None:
    [band] = [trace for trace in plot(ranked(1, 2, accuracy=False))["data"] if trace.get("fill") == "toself"]
    assert band["x"] == [0, 1, 1, 0]
    assert band["y"] == pytest.approx([1.7, 1.2, 1.0, 1.5])


def test_a_dot_marks_the_steps_trained_for() -> None:
    best = plot(ranked(1))["data"][-1]
    assert [x for x, size in zip(best["x"], best["marker"]["size"], strict=True) if size > 5] == [3]


@pytest.mark.parametrize(("count", "accuracy", "panels"), [(1, True, 2), (4, False, 1), (0, True, 0)])
def test_panels_share_the_height(count: int, accuracy: bool, panels: int) -> None:
    layout = plot(ranked(count, accuracy=accuracy))["layout"]
    domains = [layout[name]["domain"] for name in layout if name.startswith("yaxis")]
    assert len(domains) == panels
    assert all(0 <= low < high <= 1 for low, high in domains)
    assert all(upper[0] > lower[1] for upper, lower in pairwise(domains))


def test_the_figure_is_small() -> None:
    """It lies in the database and travels with every page."""
    assert len(study_figure(ranked(10, steps=11), "query_loss").to_json()) < 40_000


@pytest.mark.parametrize("steps", [1, 11, 201])
def test_ticks_are_whole_steps_and_few(steps: int) -> None:
    distance = plot(ranked(1, steps))["layout"]["xaxis"]["dtick"]
    assert isinstance(distance, int)
    assert (steps - 1) / distance <= 10


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("losses", [[1.0], [1.6, math.nan, math.inf], [math.nan, math.nan]])
def test_what_is_not_finite_is_a_gap(losses: list[float]) -> None:
    broken = curve(losses)
    trial = RankedCurve(0, Estimate(mean=1.0, sem=0.0), broken)
    assert "NaN" not in json.dumps(plot([trial]))
    ElementTree.fromstring(trial_svg([broken], "trial 0"))


def test_the_svg_shows_both_splits_and_measures() -> None:
    both = [curve([1.6, 0.8, 0.5]), curve([1.6, 0.9, 0.7], "test")]
    root = ElementTree.fromstring(trial_svg(both, "trial 7", trained_steps=1))
    texts = {text for element in root.iter(f"{SVG}text") if (text := "".join(element.itertext()))}
    assert {"trial 7", "query loss", "query accuracy", "inner steps", "meta-validation", "meta-test"} <= texts
    assert "meta-trained for" in texts


def test_equal_curves_give_equal_bytes() -> None:
    assert trial_svg([curve([1.6, 0.5])], "trial 7") == trial_svg([curve([1.6, 0.5])], "trial 7")


def test_the_svg_runs_nothing_and_loads_nothing() -> None:
    root = ElementTree.fromstring(trial_svg([curve([1.6, 0.5])], "</text><script>alert(1)</script> $x$ a & b"))
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert "</text><script>alert(1)</script> $x$ a & b" in texts
    assert not list(root.iter(f"{SVG}script"))
    links = [value for element in root.iter() for name, value in element.items() if name.endswith("href")]
    assert all(link.startswith("#") for link in links)
