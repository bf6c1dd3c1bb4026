"""Where is the acquisition highest? A search over floats, ints, categories and conditions together.

    u  (m, d) latent points: on the grid, with a value at inactive dimensions too, so that a move that makes a dimension
       active has a value to start from
    x  what is evaluated: the canonical point of u, NaN at inactive dimensions
    a  (m,) acquisition values

1. 2,048 scrambled Sobol points, snapped to the grid; a space of at most that many points is enumerated instead, and
   the answer is exact.
2. Ten starts: the best of them, others drawn with probability proportional to the acquisition (its exponential: it is
   a logarithm), which was better than the ten best, and the incumbent.
3. From every start, in turn until nothing improves: L-BFGS in the continuous dimensions, every value of each category
   and of each int of up to 16 values, a line search over each wider int. No category is ever a fraction of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from botorch.optim.batched_lbfgs_b import fmin_l_bfgs_b_batched
from botorch.utils.sampling import draw_sobol_samples
from numpy.typing import NDArray

from hpo.sampler.acquisition import Acquisition
from hpo.sampler.domain import Domain, Key, Points

RAW_CANDIDATES = 2048
STARTS = 10
EXHAUSTIVE = 16  # values of an int up to which all of them are tried
ROUNDS = 10
AT_ONCE = 256  # points: after 300 trials 2,048 take 27 ms at once and 14 in parts that stay in the cache
IMPROVEMENT = 1e-2  # of the logarithm: less is no improvement

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Search:
    """An acquisition over a domain. ``lengthscales`` (d,) put the continuous dimensions on one scale for L-BFGS."""

    acquisition: Acquisition
    domain: Domain
    lengthscales: Values

    def ranked(self, incumbent: Points, rng: np.random.Generator) -> Iterator[Points]:
        """(d,) canonical points from the highest acquisition down; never empty.

        ``incumbent`` (d,): the best evaluated point, one of the starts.
        """
        if self.domain.size <= RAW_CANDIDATES:
            yield from _descending(*self._evaluated(np.array(list(self.domain.enumerate()))))
            return
        raw = self.domain.snap(sobol(len(self.domain), RAW_CANDIDATES, rng))
        x, a = self._evaluated(self.domain.canonical(raw))
        starts = np.vstack([raw[_start_indices(a, rng)], self.domain.snap(incumbent[None])])
        best_x, best_a = self._evaluated(self.domain.canonical(self.climb(starts)))
        yield from _descending(np.vstack([best_x, x]), np.concatenate([best_a, a]))

    def evaluate(self, u: Points) -> Values:
        """(m,) acquisition of latent points."""
        return self._evaluated(self.domain.canonical(u))[1]

    def climb(self, u: Points) -> Points:
        """Local search from every latent point (m, d); no result is worse than its start."""
        u = u.copy()
        value = self.evaluate(u)
        rising = np.arange(len(u))
        for _ in range(ROUNDS):
            before = value[rising]
            u[rising], value[rising] = self._climb_once(u[rising], before)
            rising = rising[value[rising] > before + IMPROVEMENT]
            if not len(rising):
                break
        return u

    def _climb_once(self, u: Points, value: Values) -> tuple[Points, Values]:
        u, value = self._climb_continuous(u, value)
        for j in self.domain.discrete:
            grid = self.domain.grids[j]
            assert grid is not None, "a discrete dimension has a grid"
            wide = len(grid) > EXHAUSTIVE and not self.domain.space.categorical[j]
            u, value = self._search_line(u, value, j, grid) if wide else self._try(u, value, j, grid[None])
        return u, value

    def _climb_continuous(self, u: Points, value: Values) -> tuple[Points, Values]:
        """L-BFGS in the active continuous dimensions, all starts in one batch."""
        active = self.domain.active(u)
        columns = [j for j in self.domain.continuous if active[:, j].any()]
        if not columns:
            return u, value
        scale = self.lengthscales[columns]

        def negative(v: Values, batch_indices: list[int]) -> tuple[Values, Values]:
            moved = u[batch_indices]
            moved[:, columns] = v * scale
            x = torch.from_numpy(np.where(active[batch_indices], moved, np.nan)).requires_grad_()
            a = self.acquisition(x)
            (gradient,) = torch.autograd.grad(-a.sum(), x)
            return -a.detach().numpy(), gradient.numpy()[:, columns] * scale

        v, _, _ = fmin_l_bfgs_b_batched(  # type: ignore[no-untyped-call]  # BoTorch left this one without types
            negative,
            u[:, columns] / scale,
            bounds=[(0.0, 1.0 / s) for s in scale],
            maxiter=60,
            pgtol=1e-2,
            pass_batch_indices=True,
        )
        moved = u.copy()
        moved[:, columns] = (v * scale).clip(0.0, 1.0)
        return _better(u, value, moved, self.evaluate(moved))

    def _search_line(self, u: Points, value: Values, j: int, grid: Values) -> tuple[Points, Values]:
        """Evenly spaced values of dimension j, then ever closer ones around the best, down to its neighbours."""
        span = len(grid) - 1
        centre = np.full(len(u), span / 2)
        while True:
            offsets = np.linspace(-span / 2, span / 2, EXHAUSTIVE + 1)
            indices = np.rint(centre[:, None] + offsets).astype(int).clip(0, len(grid) - 1)  # (m, 17)
            u, value = self._try(u, value, j, grid[indices])
            if span <= EXHAUSTIVE:
                return u, value
            centre = np.searchsorted(grid, u[:, j]).astype(float)
            span = max(span * 2 // EXHAUSTIVE, EXHAUSTIVE)

    def _try(self, u: Points, value: Values, j: int, candidates: Points) -> tuple[Points, Values]:
        """The best of ``candidates`` (m or 1, c) for dimension j of every point."""
        count = candidates.shape[1]
        tried = np.repeat(u, count, axis=0)  # (m c, d)
        tried[:, j] = np.broadcast_to(candidates, (len(u), count)).ravel()
        a = self.evaluate(tried).reshape(len(u), count)
        best = a.argmax(1)
        rows = np.arange(len(u))
        return _better(u, value, tried.reshape(len(u), count, -1)[rows, best], a[rows, best])

    def _evaluated(self, x: Points) -> tuple[Points, Values]:
        with torch.no_grad():
            parts = [self.acquisition(part) for part in torch.split(torch.from_numpy(x), AT_ONCE)]
        return x, torch.cat(parts).numpy()


def sobol(dimensions: int, count: int, rng: np.random.Generator, first: int = 0) -> Points:
    """(count, dimensions) points of a scrambled Sobol sequence, from number ``first`` on."""
    unit = torch.stack([torch.zeros(dimensions), torch.ones(dimensions)]).double()
    points = draw_sobol_samples(unit, n=first + count, q=1, seed=int(rng.integers(2**31)))  # (first + count, 1, d)
    return points[first:, 0].numpy()


def first_unseen(candidates: Iterator[Points], domain: Domain, seen: set[Key], limit: int) -> Points | None:
    """The first of at most ``limit`` canonical points that is none of ``seen``."""
    return next((x for x in islice(candidates, limit) if domain.key(domain.space.decode(x)) not in seen), None)


def _start_indices(a: Values, rng: np.random.Generator) -> NDArray[np.intp]:
    """The best and, by roulette, others that are not hopeless beside it."""
    best = int(a.argmax())
    weight = np.exp(a - a[best])
    weight[best] = 0.0
    count = min(STARTS - 2, int(np.count_nonzero(weight > 0.0)))
    if count == 0:
        return np.array([best], np.intp)
    return np.append(rng.choice(len(a), count, replace=False, p=weight / weight.sum()), best).astype(np.intp)


def _better(u: Points, value: Values, other: Points, other_value: Values) -> tuple[Points, Values]:
    """Row by row the one of the higher value; not a number is no improvement."""
    improved = other_value > value
    return np.where(improved[:, None], other, u), np.where(improved, other_value, value)


def _descending(x: Points, a: Values) -> Iterator[Points]:
    # stable: equal values in the order in which they came, the same on every machine
    return iter(x[np.argsort(-a, kind="stable")])
