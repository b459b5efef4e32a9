"""Plan a comparison: one whole chain per replicate, then the opening, then the test.

The order is the protocol. Every segmenter of every arm and replicate is trained first; the opening
takes all of them as inputs; test scores take the opening as input. Nothing else reads a test
patient's labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.base.errors import DataError
from harness.config.experiment import plain
from harness.config.stages import ImageStageConfig, MaskStageConfig
from harness.jobs.board import Board
from harness.records.spec import Spec
from harness.work.specs import SOURCES_OF_EXTRA, Specs, needs


@dataclass(frozen=True)
class Chain:
    """One replicate's specs."""

    seed: int
    mask: Spec | None
    image: Spec | None
    scores: Mapping[str, Spec]
    synthesis: Spec | None
    segmenters: Mapping[str, Spec]
    repaint: Spec | None = None


@dataclass
class ComparisonPlan:
    """A comparison as planned so far. `tests` maps (arm, seed) to test-score specs."""

    chains: list[Chain]
    segmenter_epochs: int
    opening: Spec | None = None
    tests: dict[tuple[str, int], Spec] = field(default_factory=dict)
    extended: bool = False
    finished: bool = False


@dataclass
class Comparison:
    """Planner of one comparison.

    Attributes:
        specs: builds specs.
        store: spec of the store.
        mask, image: settings of both stages, chosen by the sweeps or taken from the experiment.
        roles: patient content digest -> role.
    """

    specs: Specs
    store: Spec
    mask: MaskStageConfig
    image: ImageStageConfig
    roles: Mapping[str, str]

    def plan(self, board: Board) -> ComparisonPlan:
        """Ask for everything that can be asked for now."""
        rule = self.rule()  # what makes the opening impossible is said before anything is trained
        plan = ComparisonPlan(
            [self._chain(board, seed) for seed in self.seeds()], self.specs.segmenter_epochs()
        )
        trained = {
            f"{arm}/{chain.seed}": spec.done(plan.segmenter_epochs)
            for chain in plan.chains
            for arm, spec in chain.segmenters.items()
        }
        if board.pending():
            return plan
        plan.opening = self.specs.opening(self.store, trained, rule)
        opened = board.need(plan.opening, label="opening of the test")
        for name, reference in trained.items():
            arm, seed = name.rsplit("/", 1)
            spec = self.specs.test_score(self.store, reference, plan.opening)
            plan.tests[arm, int(seed)] = spec
            board.need(spec, label=f"test of {arm}, replicate {seed}")
        plan.extended = bool(opened and opened["values"]["extended"])
        plan.finished = not board.pending()
        return plan

    def seeds(self) -> range:
        """Replicate seeds; disjoint from the sweep's, which lie below 1000."""
        replicates = self.specs.experiment.replicates
        return range(replicates.seed, replicates.seed + replicates.count)

    def rule(self) -> dict[str, Any]:
        """What is fixed before the test is opened."""
        experiment = self.specs.experiment
        patients = sorted(digest for digest, role in self.roles.items() if role == "test")
        if not patients:
            raise DataError(
                "a comparison needs test patients, but no patient has that role; see data.roles"
            )
        decision = plain(experiment.decision)
        del decision["assumed"]  # what was assumed while planning decides nothing
        return {
            "arms": list(experiment.arms),
            "replicates": list(self.seeds()),
            "patients": patients,
            "decision": decision,
        }

    def _chain(self, board: Board, seed: int) -> Chain:
        arms = self.specs.experiment.arms
        made: dict[str, Spec] = {}
        chain = Chain(seed, None, None, {}, None, {})
        if needs(arms, "synthesis") or needs(arms, "repaint"):
            chain = self._stages(board, seed)
            made = {
                n: s for n, s in (("synthesis", chain.synthesis), ("repaint", chain.repaint)) if s
            }
        if needs(arms, "fresh"):
            made["fresh"] = self.specs.fresh(self.store)
            board.need(made["fresh"], label="fresh phantoms")
        segmenters: dict[str, Spec] = {}
        for arm in arms:
            extra = made.get(SOURCES_OF_EXTRA.get(arm, ""))
            spec = self.specs.segmenter(self.store, arm, extra, seed)
            board.need(spec, self.specs.segmenter_epochs(), f"segmenter {arm}, replicate {seed}")
            segmenters[arm] = spec
        return replace(chain, segmenters=segmenters)

    def _stages(self, board: Board, seed: int) -> Chain:
        """Both GAN stages of a replicate, their scores, and the pairs they make."""
        mask = self.specs.mask_stage(self.store, self.mask, seed)
        image = self.specs.image_stage(self.store, self.image, seed)
        last_mask, last_image = self.mask.schedule.epochs, self.image.schedule.epochs
        board.need(mask, last_mask, f"mask stage, replicate {seed}")
        board.need(image, last_image, f"image stage, replicate {seed}")
        scores = {
            "mask": self.specs.score("mask-score", self.store, mask, last_mask),
            "image": self.specs.score("image-score", self.store, image, last_image),
        }
        for stage, spec in scores.items():
            training = mask if stage == "mask" else image
            board.need(self.specs.variety_of(self.store, training), label="variety of real images")
            board.need(spec, label=f"score of the {stage} stage, replicate {seed}")
        synthesis = self.specs.synthesis(
            self.store, mask.done(last_mask), image.done(last_image), seed
        )
        board.need(synthesis, label=f"synthesis, replicate {seed}")
        repaint = None
        if needs(self.specs.experiment.arms, "repaint"):
            repaint = self.specs.repaint(self.store, image.done(last_image), seed)
            board.need(repaint, label=f"real masks painted, replicate {seed}")
        return Chain(seed, mask, image, scores, synthesis, {}, repaint)
