"""The adaptation curves of one trial as SVG, one line a split, for notes and reports."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpo.records import AdaptationCurve
from hpo.report.curves import COLOURS, GREY, Line, measures

_SPLITS = {"validation": COLOURS[0], "test": COLOURS[1]}
# Text stays text; equal curves give equal bytes; a "$" in a title is a "$".
_SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "hpo", "text.parse_math": False}
_drawing = threading.Lock()  # Matplotlib's settings and font cache are global


def trial_svg(curves: Sequence[AdaptationCurve], title: str, trained_steps: int | None = None) -> bytes:
    """The figure of a trial as an SVG document, the same bytes for the same curves.

    A dotted line marks ``trained_steps``: beyond it the model adapts further than it was meta-trained to.
    """
    panels = measures(curves)
    out = io.BytesIO()
    with _drawing, rc_context(_SETTINGS):
        figure = Figure(figsize=(3.6 * max(1, len(panels)), 3.0), layout="constrained")
        FigureCanvasSVG(figure)
        figure.suptitle(title, fontsize=10)
        for axes, measure in zip(figure.subplots(1, max(1, len(panels)), squeeze=False)[0], panels, strict=False):
            _draw(axes, curves, measure, trained_steps)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _draw(axes: Axes, curves: Sequence[AdaptationCurve], measure: str, trained_steps: int | None) -> None:
    for curve in curves:
        if (line := Line.of(curve, measure)) is None:
            continue
        colour = _SPLITS.get(curve.split, GREY)
        axes.fill_between(line.steps, line.low, line.high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(line.steps, line.mean, color=colour, marker="o", markersize=3, label=f"meta-{curve.split}")
    if trained_steps is not None:
        axes.axvline(trained_steps, color=GREY, linestyle=":", label="meta-trained for")
    axes.set_xlabel("inner steps")
    axes.set_ylabel(f"query {measure}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)
