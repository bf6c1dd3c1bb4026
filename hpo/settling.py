"""When a search is settled: the trials that are left are expected to gain less than the noise lets one see.

    gain   E[max(m* - f(x), 0)] at the suggested x; m*: the posterior mean of the best trial, which luck does not lower
    noise  standard deviation of the difference of two trainings of one config
    left   trials that were not begun yet

Each of them is expected to gain no more than the next one, the most promising by now: together at most ``left * gain``.
A suggestion may be a poor one, and a fit may take signal for noise, so it is to hold for several in a row.

Measured with 70 trials, regret of the likely best config when stopped and at the end, eight seeds (stability_edge seven,
hartmann6 two; tests/bench/samplers/shapes.py): noisy_quadratic after 52 trials, worse by 0.023 +- 0.015 beside a noise of
0.28; stability_edge after 51, 0.0001 +- 0.0017; hartmann6, which has no noise, never. With three suggestions in a row
noisy_quadratic ends after 42, worse by 0.056 +- 0.028. The gain of one trial alone, instead of all that are left, ends
it after 24, worse by 0.18 +- 0.05, and hartmann6 after 34.
"""

from __future__ import annotations

from collections.abc import Sequence

from hpo.records import Prospect

SUGGESTIONS = 5


def is_settled(prospects: Sequence[Prospect], left: int) -> bool:
    """``prospects``: of the newest suggestions, the last one last; those of the start-up have none."""
    newest = prospects[-SUGGESTIONS:]
    return len(newest) == SUGGESTIONS and all(left * one.gain < one.noise for one in newest)


def reason(newest: Prospect, begun: int, left: int) -> str:
    """Why, with numbers."""
    return (
        f"after {begun} of {begun + left} trials: the expected gain of {left} more, at most {left * newest.gain:.2g},"
        f" is below what the noise lets one see, {newest.noise:.2g}"
    )
