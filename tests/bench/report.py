"""The results as tables, for a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OURS = ("plain", "accelerated")
Table = list[list[str]]


def text(results: dict[str, Any]) -> str:
    """For a terminal."""
    return _document(results, _padded)


def markdown(results: dict[str, Any]) -> str:
    """For a README."""
    return _document(results, _piped)


def _document(results: dict[str, Any], render: Callable[[Table], str]) -> str:
    environment, run = results["environment"], results["run"]
    parts = [
        f"{environment['cpu' if environment['device'] == 'cpu' else 'gpu']}, torch {environment['torch']}, one core, "
        f"{environment['product_gflops']:.0f} GFLOP/s in large float32 products. {run['features']} features x "
        f"{run['time']} steps, {run['ways']}-way {run['shots']}-shot, {run['queries']} queries, {run['tasks']} tasks.",
        f"Median milliseconds of a meta-iteration, {run['clock']} time (how many times as fast as learn2learn)",
        render(_times(results)),
    ]
    if results["memory"]:
        parts += ["Peak memory of the whole process, MB (10^6 bytes)", render(_memory(results))]
    if environment["device"] == "cpu":
        shares = [each["waiting"] for row in results["times"] for each in row["milliseconds"].values()]
        parts.append(f"Most that a contender had to wait for the core: {max(shares, default=0.0):.0%} of its time")
    parts.append(f"Largest relative deviation between two meta-gradients: {results['largest_deviation']:.1e}")
    parts += [f"{each['peer']} is missing: {each['missing']}" for each in results["missing"]]
    return "\n\n".join(parts)


def _times(results: dict[str, Any]) -> Table:
    names = _measured(results["times"], "milliseconds")
    ours = [name for name in OURS if name in names]
    both = ", ".join(ours)
    compared = [f"as fast as the nn loop: {both}", f"of the floor: {both}"] if ours else []
    rows = [["cell", "order", "K", "H", *names, *compared, "floor"]]
    for each in results["times"]:
        ratios = _listed(each["speedup_over_nn_loop"], ours, "{:.2f}x") if each["order"] == "first" else ""
        shares = _listed(each["share_of_floor"], ours, "{:.0%}")
        row = [*(_milliseconds(each, name) for name in names), *([ratios, shares] if ours else [])]
        rows.append([*_key(each), *row, f"{each['floor_ms']:.1f}"])
    return rows


def _memory(results: dict[str, Any]) -> Table:
    field = "peak_mb" if results["environment"]["device"] == "cpu" else "device_peak_mb"
    names = _measured(results["memory"], field)
    head = ["cell", "order", "K", "H", *names]
    return [head, *([*_key(each), *_listed_apart(each[field], names)] for each in results["memory"])]


def _measured(rows: list[dict[str, Any]], field: str) -> list[str]:
    """Everybody that has a figure in some row, in the order of the run."""
    return list(dict.fromkeys(name for each in rows for name in each[field]))


def _key(each: dict[str, Any]) -> list[str]:
    return [each["cell"], each["order"], str(each["inner_steps"]), str(each["hidden_size"])]


def _milliseconds(each: dict[str, Any], name: str) -> str:
    if name not in each["milliseconds"]:
        return ""
    ratio = each["speedup_over_learn2learn"].get(name)
    median = f"{each['milliseconds'][name]['median']:.1f}"
    return median if ratio is None or name == "learn2learn" else f"{median} ({ratio:.1f}x)"


def _listed(figures: dict[str, float], names: list[str], form: str) -> str:
    return ", ".join(form.format(figures[name]) for name in names if name in figures)


def _listed_apart(figures: dict[str, float], names: list[str]) -> list[str]:
    return [f"{figures[name]:.0f}" if name in figures else "" for name in names]


def _padded(rows: Table) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.rjust, row, widths)) for row in rows)


def _piped(rows: Table) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
