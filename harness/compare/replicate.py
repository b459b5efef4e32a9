"""One seed's whole chain: both GAN stages, what they make, and a segmenter per arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from harness.config.arms import arm_of
from harness.config.stages import ImageStageConfig, MaskStageConfig, StageConfig
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Input, Phases, Spec
from harness.work.specs import Specs


@dataclass(frozen=True)
class Replicate:
    """One seed's specs.

    Attributes:
        segmenters: by arm.
        stages, scores: by "mask" and "image"; without those that no arm needs.
        stores: that fill extra places, by filling.
    """

    seed: int
    segmenters: Mapping[str, Spec]
    stages: Mapping[str, Phases] = field(default_factory=dict)
    scores: Mapping[str, Spec] = field(default_factory=dict)
    stores: Mapping[str, Spec] = field(default_factory=dict)

    @property
    def synthesis(self) -> Spec | None:
        """What both stages generate."""
        return self.stores.get("gan")

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
        chain = _Chain(self, graph, seed, name)
        stores: dict[str, Spec] = {}
        segmenters: dict[str, Spec] = {}
        planned = {arm: arm_of(arm) for arm in arms}
        for arm in planned.values():
            if arm.filling not in stores and (spec := arm.pairs.job(chain)) is not None:
                stores[arm.filling] = spec
        for label, arm in planned.items():
            spec = self.specs.segmenter(self.store, label, stores.get(arm.filling), seed)
            graph.need(spec, self.specs.segmenter_epochs(), f"segmenter {label}, {name}")
            segmenters[label] = spec
        return Replicate(seed, segmenters, chain.stages, chain.scores, stores)


class _Chain:
    """What the fillings ask for while one seed is planned; each stage once."""

    def __init__(self, planner: ReplicatePlanner, graph: JobGraph, seed: int, name: str) -> None:
        self.specs, self.store, self.seed = planner.specs, planner.store, seed
        self.stages: dict[str, Phases] = {}
        self.scores: dict[str, Spec] = {}
        self._settings: dict[str, StageConfig] = {"mask": planner.mask, "image": planner.image}
        self._graph, self._name = graph, name

    def need(self, spec: Spec, what: str) -> None:
        self._graph.need(spec, label=f"{what}, {self._name}")

    def stage(self, name: str) -> Phases:
        """A stage's training, and its score at the end."""
        if name not in self.stages:
            settings = self._settings[name]
            training = self.specs.training(self.store, settings, self.seed)
            self._graph.train(training, training.epochs, f"{name} stage, {self._name}")
            diversity = self.specs.diversity(self.store, settings.shows)
            self._graph.need(diversity, label="diversity of real images")
            self.scores[name] = self.specs.score(
                self.store, settings, training.last, training.epochs
            )
            self.need(self.scores[name], f"score of the {name} stage")
            self.stages[name] = training
        return self.stages[name]
