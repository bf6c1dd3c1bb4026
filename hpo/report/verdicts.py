"""Which config is best, by three measures, each named for what it is: luckiest, likely best, confirmed."""

from __future__ import annotations

from dataclasses import dataclass

from hpo.config.training import Direction
from hpo.ranking import Confirmed
from hpo.report import text
from hpo.results import confirmations, queries
from hpo.results.database import Database
from hpo.results.rows import BestRow, StudyRow, TrialCounts

LUCKIEST, LIKELY, CONFIRMED = "luckiest", "likely best", "confirmed"


@dataclass(frozen=True)
class Verdicts:
    """Of one study; ``likely`` is None where no surrogate was asked, ``confirmed`` is ranked, the best first."""

    direction: Direction
    luckiest: BestRow | None
    likely: BestRow | None
    confirmed: tuple[Confirmed, ...]
    confirming: TrialCounts

    @classmethod
    def of(cls, database: Database, study: StudyRow) -> Verdicts:
        """As the study stands."""
        return cls(
            study.direction,
            queries.luckiest(database, study),
            queries.likely_best(database, study),
            confirmations.confirmed(database, study),
            queries.count_confirmations(database, study.study_id),
        )

    def sentences(self) -> dict[str, str]:
        """What is said of each that there is."""
        said = {}
        if self.luckiest is not None:
            said[LUCKIEST] = f"trial {self.luckiest.number}: {self._luck(self.luckiest)}"
        if self.likely is not None:
            expected = text.interval(self.likely.posterior_mean, self.likely.posterior_sd)
            said[LIKELY] = f"trial {self.likely.number}: {expected}, what the surrogate expects and its 90% interval"
        if self.confirmed:
            said[CONFIRMED] = ", ".join([self._best(self.confirmed[0]), *map(_next, self.confirmed[1:2])])
        elif self.confirming.begun:
            said[CONFIRMED] = f"none yet: {self.confirming.ended} of {self.confirming.begun} new trainings have ended"
        return said

    def _luck(self, row: BestRow) -> str:
        observed = f"{text.estimate(row.value, row.sem)}, the best single training of the search"
        if row.posterior_mean is None or row.value is None:
            return observed
        expected = text.estimate(row.posterior_mean, row.sem).partition(" ")[0]  # as many decimals as the observation
        is_worse = (row.posterior_mean > row.value) == (self.direction == "minimize")
        return f"{observed}; the surrogate expects {expected} of it" + ": trials near it did worse" * is_worse

    def _best(self, best: Confirmed) -> str:
        mean, sem = (best.estimate.mean, best.estimate.sem) if best.estimate is not None else (None, None)
        return f"trial {best.number}: {text.of_new_seeds(mean, sem, best.seeds, best.failed)}"


def _next(second: Confirmed) -> str:
    """How far the next one is behind; the sentence goes on."""
    if second.behind is None or second.failed:
        return f"the next, trial {second.number}, failed with {second.failed} of {second.failed + second.seeds}"
    return f"{text.of(second.behind.difference)} better than the next, trial {second.number}, seed by seed"
