"""A finished work folder of the tiny experiment, by a stand-in that trains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factories.fake_executor import FakeExecutor

from harness.commands import audit
from harness.commands.chosen_settings import choice, choose, stage_sweep
from harness.commands.session import Session
from harness.commands.steps import comparison_of
from harness.jobs.folder import JobFolder
from harness.jobs.spec import Spec
from harness.metrics.segmentation.structure_scores import MEASURES

SHORT = (
    "question=is it so?",
    "sweep.image=null",
    "sweep.segmentation=null",
    "replicates.count=1",
)
"""Overrides that leave few jobs."""


def kid(config: Any, seed: int, epoch: int) -> dict[str, Any]:
    return {"quality/kid": float(config["batch_size"])}


def trained(spec: Spec) -> Mapping[str, Any]:
    """What trainings say; an audit that could tell next to nothing."""
    if spec.kind == "test-score":
        return {"measures": {name: {"aa": 0.5} for name in MEASURES}}
    if spec.kind != "audit":
        return {"converged": True, "validation_dice": 0.6}
    share = {"value": 0.1, "interval": None}
    masks = {"implausible": share, "distances": {}}
    return {"labels": {}, "masks": masks, "paired": {"note": "no pairs"}}


def sweep_masks(session: Session) -> FakeExecutor:
    """Finish the mask sweep of a session whose pairs are cut."""
    hands = FakeExecutor(session.work, kid, trained)
    hands.drive(lambda graph: stage_sweep(session, "mask").plan(graph))
    return hands


def write_scores(job: JobFolder, *rows: str) -> None:
    """Give a finished test-score job another table: patient, digest, structure, measures."""
    path, result = job.path / "scores.csv", job.result()
    assert result is not None
    head = f"patient,patient_digest,structure,{','.join(MEASURES)}"
    path.write_text("\n".join([head, *rows]) + "\n")
    job.finish([path], result["values"], result["inputs"], result["cost"], {})


def compare_arms(session: Session, hands: FakeExecutor) -> None:
    """Finish the comparison under what was chosen; the candidate is an eighth better."""
    plan = hands.drive(comparison_of(session, choice(session)).plan)
    hands.drive(lambda graph: audit.read_audits(session, plan, graph))
    for (arm, _), spec in plan.tests.items():
        dice = 0.5 if arm == "traditional" else 0.625
        others = ",1" * (len(MEASURES) - 1)
        write_scores(session.work.job(spec), f"pt_5,aa,mean,{dice}{others}")


def finish_all(session: Session) -> None:
    hands = sweep_masks(session)
    with session.open(track=False):
        choose(session, with_segmentation=False)
    compare_arms(session, hands)
