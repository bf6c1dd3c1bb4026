"""The adaptation curves of a study's best trials over each other, for the dashboard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from hpo.report import text
from hpo.report.curves import COLOURS, GREY, Line, RankedCurve, measures

SHOWN_TRIALS = 10
HIGHLIGHTED_TRIALS = 3  # of these, with a colour, a band and a place in the legend
_TEXT = "#777777"  # readable on white and on black
_GRID = "rgba(128,128,128,0.2)"
_GAP = 0.06  # between two panels, of the height


def study_figure(ranked: Sequence[RankedCurve], metric: str) -> go.Figure:
    """The figure of a study; ``ranked`` is sorted, the best first, and no longer than is to be shown.

    One panel a measure, above each other: the dashboard's card is 450 pixels high and may be narrow. A dot marks the
    number of inner steps that a trial was meta-trained for.
    """
    panels = measures([trial.curve for trial in ranked])
    drawn = go.Figure(layout=_layout(ranked, panels, metric))
    # The best is drawn last, on top of the others; the legend is turned round again by legendrank.
    for rank in reversed(range(len(ranked))):
        for panel, measure in enumerate(panels, start=1):
            drawn.add_traces(list(_traces(ranked[rank], rank, measure, panel, len(ranked))))
    return drawn


def _traces(trial: RankedCurve, rank: int, measure: str, panel: int, shown: int) -> Iterator[go.Scatter]:
    line = Line.of(trial.curve, measure)
    if line is None:
        return
    highlighted = rank < HIGHLIGHTED_TRIALS
    group = f"trial {trial.number}" if highlighted else "others"
    place = {"xaxis": f"x{panel}", "yaxis": f"y{panel}", "legendgroup": group, "legendrank": rank + 1}
    if highlighted:
        yield _band(line, COLOURS[rank], place)
    yield go.Scatter(
        x=line.steps,
        y=line.mean,
        error_y=None if highlighted else {"array": _errors(line), "width": 0, "thickness": 0.5},
        customdata=_errors(line),
        mode="lines+markers",
        line={"color": COLOURS[rank] if highlighted else GREY, "width": _width(rank)},
        opacity=1.0 if highlighted else 0.6,
        marker={"size": [9 if step == trial.trained_steps else 3 for step in line.steps]},
        name=_name(trial, rank, shown),
        showlegend=panel == 1 and rank <= HIGHLIGHTED_TRIALS,
        hovertemplate=f"trial {trial.number}, %{{x}} steps: %{{y:.4f}} ± %{{customdata:.4f}}<extra></extra>",
        **place,
    )


def _band(line: Line, colour: str, place: Mapping[str, Any]) -> go.Scatter:
    return go.Scatter(
        x=[*line.steps, *reversed(line.steps)],
        y=[*line.high, *reversed(line.low)],
        fill="toself",
        fillcolor=_translucent(colour),
        line={"width": 0},
        hoverinfo="skip",
        mode="lines",
        showlegend=False,
        **place,
    )


def _width(rank: int) -> float:
    if rank == 0:
        return 3.0
    return 1.8 if rank < HIGHLIGHTED_TRIALS else 1.0


def _errors(line: Line) -> list[float]:
    return [high - mean for high, mean in zip(line.high, line.mean, strict=True)]


def _name(trial: RankedCurve, rank: int, shown: int) -> str:
    if rank >= HIGHLIGHTED_TRIALS:
        return "4th best" if shown == HIGHLIGHTED_TRIALS + 1 else f"4th to {shown}th best"
    return f"trial {trial.number}: {text.of(trial.objective)}" + (" (likely best)" if rank == 0 else "")


def _translucent(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def _layout(ranked: Sequence[RankedCurve], panels: Sequence[str], metric: str) -> go.Layout:
    layout = go.Layout(
        template=go.layout.Template(),  # Plotly's own, with every trace type's defaults, is 7 kB
        title={
            "text": f"Adaptation of the best trials<br><sub>{_subtitle(ranked)}</sub>",
            "font": {"size": 15},
            "x": 0.01,
        },
        font={"color": _TEXT},
        # The dashboard has a light and a dark mode.
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": _TEXT},
        legend={"title": {"text": metric}, "orientation": "h", "y": -0.19, "yanchor": "top"},
        margin={"l": 60, "r": 10, "t": 60, "b": 95},
    )
    height = (1.0 - _GAP * (len(panels) - 1)) / max(1, len(panels))
    shared = {"gridcolor": _GRID, "zeroline": False}
    for panel, measure in enumerate(panels, start=1):
        top = 1.0 - (panel - 1) * (height + _GAP)
        last = panel == len(panels)
        layout[f"xaxis{panel}"] = {
            "anchor": f"y{panel}",
            "matches": "x" if panel > 1 else None,
            "dtick": _tick_distance(ranked),
            "showticklabels": last,
            "title": {"text": "inner steps" if last else "", "standoff": 4},
            **shared,
        }
        layout[f"yaxis{panel}"] = {
            "anchor": f"x{panel}",
            "domain": [max(0.0, top - height), top],
            "title": {"text": f"query {measure}"},
            **shared,
        }
    return layout


def _subtitle(ranked: Sequence[RankedCurve]) -> str:
    tasks = " or ".join(sorted({f"{trial.curve.tasks} meta-{trial.curve.split}" for trial in ranked}))
    return f"mean ± standard error over {tasks} tasks; a dot marks the steps trained for"


def _tick_distance(ranked: Sequence[RankedCurve]) -> int:
    """In whole steps, so that there are at most ten ticks."""
    longest = max((trial.curve.points[-1].inner_step for trial in ranked), default=1)
    return max(1, -(-longest // 10))
