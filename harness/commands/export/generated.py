"""What an export asks of a comparison: an arm's generated pairs, and its test evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from harness.base.errors import DataError, RuleError
from harness.commands import steps
from harness.commands.chosen_settings import choice
from harness.commands.session import Session
from harness.config.arms import arm_of
from harness.data.pairs.store import Store
from harness.jobs.spec import Spec
from harness.work.fillings.generated import unwanted_patients


@dataclass(frozen=True)
class GeneratedPairs:
    """The pairs that were generated for an arm.

    Attributes:
        name: of the filling, and the first part of a generated case's name.
        replicate: whose GAN generated them; None where no GAN did.
        share: of its batches that the arm's own segmenter fills with them.
        alone: the arm's segmenter trains on nothing else.
    """

    name: str
    store: Store
    spec: Spec
    replicate: int | None
    share: float
    alone: bool


def find_generated(
    session: Session, arm: str | None, replicate: int | None
) -> GeneratedPairs | None:
    """The pairs generated for the arm; None if it has none.

    Raises:
        DataError: they are not generated yet.
        RuleError: anyone but training patients had a part in them.
    """
    if arm is None:
        return None
    of = arm_of(arm)
    graph = session.graph()
    seed = session.experiment.replicates.seed if replicate is None else replicate
    chosen = choice(session)
    replicates = steps.comparison_of(session, chosen).replicates
    planned = replicates.plan(graph, seed, (arm,), f"replicate {seed}")
    spec = planned.stores.get(of.filling)
    if spec is None:
        return None
    if graph.need(spec) is None:
        raise DataError(
            f"the pairs of arm {arm} must be generated before they are exported, but "
            f"replicate {seed} has none under the present settings; run harness compare first"
        )
    store = Store.open(session.work.job(spec).verified() / "store")
    odd = unwanted_patients(store, session.roles)  # the rule that segmenters hold extra pairs to
    if odd:
        raise RuleError(
            "generated pairs must come from training patients or from strangers, but "
            f"{len(odd)} of the patients behind them are neither; make the store again"
        )
    settings = chosen.replicates(session).settings_of(arm)
    only = of.order == "only"
    slots = settings.batch_size if only else settings.extra_slots()
    whose = seed if of.pairs.stages else None
    return GeneratedPairs(of.filling, store, spec, whose, slots / settings.batch_size, only)


def need_opening(session: Session) -> None:
    """Test patients are handed out once all of the comparison is trained and evaluated."""
    graph = session.graph()
    plan = steps.comparison_of(session, choice(session)).plan(graph)
    if plan.opening is None or graph.need(plan.opening) is None:
        raise RuleError(
            "--test needs the test evaluation, which happens once, after all training, but this "
            "experiment has none under the present settings; run harness compare first"
        )
