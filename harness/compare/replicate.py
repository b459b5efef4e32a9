"""One seed's whole chain: both GAN stages, what they make, and a segmenter per arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from harness.config.stages import ImageStageConfig, MaskStageConfig
from harness.jobs.graph import Board
from harness.jobs.spec import Input, Phases, Spec
from harness.work.specs import SOURCES_OF_EXTRA, Specs, needs


@dataclass(frozen=True)
class Chain:
    """One seed's specs.

    Attributes:
        stages, scores: by "mask" and "image"; empty where no arm needs a GAN.
        segmenters: by arm.
    """

    seed: int
    segmenters: Mapping[str, Spec]
    stages: Mapping[str, Phases] = field(default_factory=dict)
    scores: Mapping[str, Spec] = field(default_factory=dict)
    synthesis: Spec | None = None
    repaint: Spec | None = None

    def trained(self, epochs: int) -> dict[str, Input]:
        """The trained segmenters, by "arm/seed"."""
        return {f"{arm}/{self.seed}": spec.done(epochs) for arm, spec in self.segmenters.items()}


@dataclass(frozen=True)
class Chains:
    """Plans chains.

    Attributes:
        specs: builds specs; its experiment's `segmentation` is what segmenters train under.
        store: spec of the store.
        mask, image: settings of both stages.
    """

    specs: Specs
    store: Spec
    mask: MaskStageConfig
    image: ImageStageConfig

    def with_segmentation(
        self, strength: float | None = None, extra_share: float | None = None
    ) -> Chains:
        """The same with another strength of augmentation or share of extra slots."""
        experiment = self.specs.experiment
        settings = experiment.segmentation
        if strength is not None:
            augmentation = settings.augmentation.model_copy(update={"strength": strength})
            settings = settings.model_copy(update={"augmentation": augmentation})
        if extra_share is not None:
            settings = settings.model_copy(update={"extra_share": extra_share})
        changed = experiment.model_copy(update={"segmentation": settings})
        return replace(self, specs=replace(self.specs, experiment=changed))

    def plan(self, board: Board, seed: int, arms: Iterable[str], name: str) -> Chain:
        """Ask for everything that the arms' segmenters of a seed need, and for them.

        Args:
            name: how people call this chain, in the labels of its jobs.
        """
        arms = tuple(arms)
        made: dict[str, Spec] = {}
        chain = Chain(seed, {})
        if needs(arms, "synthesis") or needs(arms, "repaint"):
            chain = self._stages(board, seed, arms, name)
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
            board.need(spec, self.specs.segmenter_epochs(), f"segmenter {arm}, {name}")
            segmenters[arm] = spec
        return replace(chain, segmenters=segmenters)

    def _stages(self, board: Board, seed: int, arms: Iterable[str], name: str) -> Chain:
        """Both GAN stages, their scores, and the pairs they make."""
        mask = self.specs.training(self.store, self.mask, seed)
        image = self.specs.training(self.store, self.image, seed)
        stages, scores = {"mask": mask, "image": image}, {}
        for stage, training in stages.items():
            board.train(training, training.epochs, f"{stage} stage, {name}")
            variety = self.specs.variety_of(self.store, training.last)
            board.need(variety, label="variety of real images")
            scores[stage] = self.specs.score(
                f"{stage}-score", self.store, training.last, training.epochs
            )
            board.need(scores[stage], label=f"score of the {stage} stage, {name}")
        synthesis = self.specs.synthesis(self.store, mask.done(), image.done(), seed)
        board.need(synthesis, label=f"synthesis, {name}")
        repaint = None
        if needs(arms, "repaint"):
            repaint = self.specs.repaint(self.store, image.done(), seed)
            board.need(repaint, label=f"real masks painted, {name}")
        return Chain(seed, {}, stages, scores, synthesis, repaint)
