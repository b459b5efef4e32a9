"""What replicates cost on this machine, by the forecast that `compare --dry-run` makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.commands.costs.forecast import forecast, plan_ahead
from harness.commands.session import Session
from harness.inference.cohorts import Cohorts
from harness.inference.power import LARGEST_DESIGN
from harness.jobs.forecast import first_epoch, units_after


@dataclass(frozen=True)
class Cost:
    """Seconds of a whole comparison with this session's workers.

    Attributes:
        once: for what is trained once.
        each: for a replicate.
        longest: of one training, which no number of workers makes shorter.
    """

    once: float
    each: float
    longest: float

    def hours(self, replicates: int) -> float:
        """Of a comparison with so many replicates."""
        return max(self.once + self.each * replicates, self.longest) / 3600

    def replicates_within(self, hours: float) -> int:
        """Most replicates that so many hours allow."""
        within = [n for n in range(1, LARGEST_DESIGN + 1) if self.hours(n) <= hours]
        return max(within, default=0)


def cost_of(session: Session, cohorts: Cohorts, per_unit: Mapping[str, float]) -> Cost:
    """Costs of the experiment's comparison from its first job on, finished ones too.

    Args:
        cohorts: of its replicates.
        per_unit: seconds of a worker for an epoch, by kind of training.
    """
    own = session.experiment.replicates.count
    totals: dict[int, float] = {}
    longest = 0.0
    for count in {1, own}:
        settings = {"count": count, "cohort_size": cohorts.size or None}
        replicates = session.experiment.replicates.model_copy(update=settings)
        experiment = session.experiment.model_copy(update={"replicates": replicates})
        # The same patients: their record says enough.
        parts = plan_ahead(
            replace(session, experiment=experiment, reads_patients=False), ["comparison"]
        )
        totals[count] = forecast(session, parts, per_unit).left([]) or 0.0
        requests = [request for part in parts for request in part.requests]
        longest = max(
            units_after(request, first_epoch(request)) * per_unit.get(request.spec.kind, 0.0)
            for request in requests
        )
    each = (totals[own] - totals[1]) / (own - 1) if own > 1 else totals[1]
    return Cost(totals[1] - each, each, longest)
