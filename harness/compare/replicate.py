"""One seed's whole chain: both GAN stages, what they make, and a segmenter per arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from harness.config.stages import ImageStageConfig, MaskStageConfig
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Input, Phases, Spec
from harness.work.specs import SOURCES_OF_EXTRA, Specs, needs


@dataclass(frozen=True)
class Replicate:
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
    synthesis_on_real_masks: Spec | None = None

    def trained(self, epochs: int) -> dict[str, Input]:
        """The trained segmenters, by "arm/seed"."""
        return {f"{arm}/{self.seed}": spec.done(epochs) for arm, spec in self.segmenters.items()}


@dataclass(frozen=True)
class ReplicatePlanner:
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
        self, magnitude: float | None = None, synthetic_fraction: float | None = None
    ) -> ReplicatePlanner:
        """The same with another magnitude of augmentation or synthetic fraction."""
        experiment = self.specs.experiment
        settings = experiment.segmentation
        if magnitude is not None:
            augmentation = settings.augmentation.model_copy(update={"magnitude": magnitude})
            settings = settings.model_copy(update={"augmentation": augmentation})
        if synthetic_fraction is not None:
            settings = settings.model_copy(update={"synthetic_fraction": synthetic_fraction})
        changed = experiment.model_copy(update={"segmentation": settings})
        return replace(self, specs=replace(self.specs, experiment=changed))

    def plan(self, graph: JobGraph, seed: int, arms: Iterable[str], name: str) -> Replicate:
        """Ask for everything that the arms' segmenters of a seed need, and for them.

        Args:
            name: how people call this chain, in the labels of its jobs.
        """
        arms = tuple(arms)
        made: dict[str, Spec] = {}
        replicate = Replicate(seed, {})
        if needs(arms, "synthesis") or needs(arms, "synthesis_on_real_masks"):
            replicate = self._stages(graph, seed, arms, name)
            made = {
                n: s
                for n, s in (
                    ("synthesis", replicate.synthesis),
                    ("synthesis_on_real_masks", replicate.synthesis_on_real_masks),
                )
                if s
            }
        if needs(arms, "fresh"):
            made["fresh"] = self.specs.fresh(self.store)
            graph.need(made["fresh"], label="fresh phantoms")
        segmenters: dict[str, Spec] = {}
        for arm in arms:
            extra = made.get(SOURCES_OF_EXTRA.get(arm, ""))
            spec = self.specs.segmenter(self.store, arm, extra, seed)
            graph.need(spec, self.specs.segmenter_epochs(), f"segmenter {arm}, {name}")
            segmenters[arm] = spec
        return replace(replicate, segmenters=segmenters)

    def _stages(self, graph: JobGraph, seed: int, arms: Iterable[str], name: str) -> Replicate:
        """Both GAN stages, their scores, and the pairs they make."""
        mask = self.specs.training(self.store, self.mask, seed)
        image = self.specs.training(self.store, self.image, seed)
        stages, scores = {"mask": mask, "image": image}, {}
        for stage, training in stages.items():
            graph.train(training, training.epochs, f"{stage} stage, {name}")
            diversity = self.specs.diversity_of(self.store, training.last)
            graph.need(diversity, label="diversity of real images")
            scores[stage] = self.specs.score(
                f"{stage}-score", self.store, training.last, training.epochs
            )
            graph.need(scores[stage], label=f"score of the {stage} stage, {name}")
        synthesis = self.specs.synthesis(self.store, mask.done(), image.done(), seed)
        graph.need(synthesis, label=f"synthesis, {name}")
        synthesis_on_real_masks = None
        if needs(arms, "synthesis_on_real_masks"):
            synthesis_on_real_masks = self.specs.synthesis_on_real_masks(
                self.store, image.done(), seed
            )
            graph.need(synthesis_on_real_masks, label=f"CT on real masks, {name}")
        return Replicate(seed, {}, stages, scores, synthesis, synthesis_on_real_masks)
