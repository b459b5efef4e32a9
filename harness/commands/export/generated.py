"""What an export asks of a comparison: an arm's generated pairs, and its test evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.base.errors import DataError, RuleError
from harness.commands import steps
from harness.commands.chosen_settings import choice
from harness.commands.session import Session
from harness.data.pairs.store import Store
from harness.jobs.spec import Spec
from harness.work.specs import ARM_FILLS, SOURCES_OF_EXTRA
from harness.work.train.mixed_batches import unwanted_patients

NAMES = {"synthesis": "synthetic", "synthesis_on_real_masks": "real-mask", "fresh": "fresh"}
"""First part of a generated case's name, by the store that it is from."""


@dataclass(frozen=True)
class GeneratedPairs:
    """The pairs that were generated for an arm.

    Attributes:
        name: what they are called.
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
    source = SOURCES_OF_EXTRA.get(arm or "")
    if source is None or arm is None:
        return None
    graph = session.graph()
    seed = session.experiment.replicates.seed if replicate is None else replicate
    chosen = choice(session)
    replicates = steps.comparison_of(session, chosen).replicates
    planned = replicates.plan(graph, seed, (arm,), f"replicate {seed}")
    spec = {
        "synthesis": planned.synthesis,
        "synthesis_on_real_masks": planned.synthesis_on_real_masks,
    }.get(source)
    spec = spec or session.specs.fresh(session.store)
    if graph.need(spec) is None:
        raise DataError(
            f"the pairs of arm {arm} must be generated before they are exported, but "
            f"replicate {seed} has none under the present settings; run harness compare first"
        )
    store = Store.open(session.work.job(spec).path / "store")
    _need_training_patients(store, session.roles)
    settings = session.experiment.segmentation
    only = ARM_FILLS[arm].get("order") == "only"
    slots = settings.batch_size if only else settings.extra_slots(chosen.synthetic_fraction)
    of = None if source == "fresh" else seed
    return GeneratedPairs(NAMES[source], store, spec, of, slots / settings.batch_size, only)


def _need_training_patients(generated: Store, roles: Mapping[str, str]) -> None:
    """The rule that segmenters hold their extra pairs to."""
    odd = unwanted_patients(generated, roles)
    if odd:
        raise RuleError(
            "generated pairs must come from training patients or from strangers, but "
            f"{len(odd)} of the patients behind them are neither; make the store again"
        )


def need_opening(session: Session) -> None:
    """Test patients are handed out once all of the comparison is trained and evaluated."""
    graph = session.graph()
    plan = steps.comparison_of(session, choice(session)).plan(graph)
    if plan.opening is None or graph.need(plan.opening) is None:
        raise RuleError(
            "--test needs the test evaluation, which happens once, after all training, but this "
            "experiment has none under the present settings; run harness compare first"
        )
