"""When a search is settled: the trials that are left are expected to gain less than the noise lets one see.

    gain   E[max(m* - f(x), 0)] at the suggested x; m*: the posterior mean of the best trial, which luck does not lower
    noise  standard deviation of the difference of two trainings of one config
    left   trials that were not begun yet

Each of them is expected to gain no more than the next one, the most promising by now: together at most ``left * gain``.
A suggestion may be a poor one, and a fit may take signal for noise, so it is to hold for several in a row.

Measured with 70 trials and eight seeds (shapes of tests/bench/samplers), by the regret of the likely best config when
stopped against that at the end: noisy_quadratic ends after 52 trials, 0.023 +- 0.015 worse where the noise is 0.28;
stability_edge after 52, 0.0001 +- 0.0015 worse; hartmann6, without noise, after 67, no worse. With three in a row
noisy_quadratic ends after 42, 0.056 +- 0.028 worse. By the gain of one trial alone, instead of all that are left, it
ends after 24, 0.18 +- 0.05 worse, and hartmann6 after 32, 0.4 +- 0.3 worse.
"""

from __future__ import annotations

from collections.abc import Sequence

from hpo.records import Prospect

SUGGESTIONS = 5


def is_settled(prospects: Sequence[Prospect], left: int) -> bool:
    """``prospects``: of the newest suggestions, the last one last; those of the start-up have none."""
    newest = prospects[-SUGGESTIONS:]
    return len(newest) == SUGGESTIONS and all(left * one.gain < one.noise for one in newest)


def reason(newest: Prospect, left: int) -> str:
    """Why, with numbers."""
    return (
        f"the expected gain of {left} more, at most {left * newest.gain:.2g},"
        f" is below what the noise lets one see, {newest.noise:.2g}"
    )
