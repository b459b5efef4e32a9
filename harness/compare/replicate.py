"""One seed's whole chain: both GAN stages, what they make, and a segmenter per arm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.config.arms import Arm, arm_of
from harness.config.stages import (
    ImageStageConfig,
    MaskStageConfig,
    SegmentationConfig,
    StageConfig,
)
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Input, Phases, Spec
from harness.work.specs import Specs


@dataclass(frozen=True)
class Replicate:
    """One seed's specs.

    Attributes:
        store: spec of the pairs that it learns from.
        segmenters: by arm; `epochs` of the journal that each trains.
        stages, scores: by "mask" and "image"; without those that no arm needs.
        stores: that fill extra places, by filling.
    """

    seed: int
    store: Spec
    segmenters: Mapping[str, Spec]
    epochs: Mapping[str, int]
    stages: Mapping[str, Phases] = field(default_factory=dict)
    scores: Mapping[str, Spec] = field(default_factory=dict)
    stores: Mapping[str, Spec] = field(default_factory=dict)

    @property
    def synthesis(self) -> Spec | None:
        """What both stages generate."""
        return self.stores.get("gan")

    def generators(self, of: Arm) -> list[Input]:
        """What an arm has and one of real pairs has not: its stages' trainings, and its pairs."""
        found = []
        for training in (self.stages[stage] for stage in of.pairs.stages):
            if training.decay is not None:
                found.append(training.steady.done(training.steady_epochs))
            found.append(training.done())
        return found + [s.done() for filling, s in self.stores.items() if filling == of.filling]

    def joined(self, other: Replicate, arms: Sequence[str]) -> Replicate:
        """With the segmenters of another chain of the same seed, all in the order of `arms`."""
        epochs = {**self.epochs, **other.epochs}
        found = {**self.segmenters, **other.segmenters}
        ordered = {arm: found[arm] for arm in sorted(found, key=arms.index)}
        return replace(self, segmenters=ordered, epochs=epochs)

    def done(self, arm: str) -> Input:
        """An arm's trained segmenter."""
        return self.segmenters[arm].done(self.epochs[arm])

    def trained(self) -> dict[str, Input]:
        """The trained segmenters, by "arm/seed"."""
        return {f"{arm}/{self.seed}": self.done(arm) for arm in self.segmenters}


@dataclass(frozen=True)
class ReplicatePlanner:
    """Plans chains.

    Attributes:
        specs: builds specs; its experiment's `segmentation` is what segmenters train under.
        store: spec of the store.
        mask, image: settings of both stages.
        of_arm: settings of the segmenters of arms that have their own.
    """

    specs: Specs
    store: Spec
    mask: MaskStageConfig
    image: ImageStageConfig
    of_arm: Mapping[str, SegmentationConfig] = field(default_factory=dict)

    def settings_of(self, arm: str) -> SegmentationConfig:
        """What an arm's segmenters train under."""
        return self.of_arm.get(arm, self.specs.experiment.segmentation)

    def changed(self, **updates: Callable[[SegmentationConfig], Any]) -> ReplicatePlanner:
        """The same with other settings of the segmenters, each made of those of its arm."""

        def change(settings: SegmentationConfig) -> SegmentationConfig:
            made = {name: of(settings) for name, of in updates.items()}
            return settings.model_copy(update=made)

        experiment = self.specs.experiment
        own = {"segmentation": change(experiment.segmentation)}
        specs = replace(self.specs, experiment=experiment.model_copy(update=own))
        of_arm = {arm: change(settings) for arm, settings in self.of_arm.items()}
        return replace(self, specs=specs, of_arm=of_arm)

    def with_fraction(self, synthetic_fraction: float) -> ReplicatePlanner:
        """The same with another synthetic fraction, in every arm."""
        return self.changed(synthetic_fraction=lambda _: synthetic_fraction)

    def with_updates(self, factor: float) -> ReplicatePlanner:
        """The same with so many times the updates, in every arm."""
        return self.changed(updates=lambda settings: max(1, round(factor * settings.updates)))

    def plan(self, graph: JobGraph, seed: int, arms: Iterable[str], name: str) -> Replicate:
        """Ask for everything that the arms' segmenters of a seed need, and for them.

        Args:
            name: how people call this chain, in the labels of its jobs.
        """
        chain = _Chain(self, graph, seed, name)
        stores: dict[str, Spec] = {}
        segmenters: dict[str, Spec] = {}
        epochs: dict[str, int] = {}
        planned = {arm: arm_of(arm) for arm in arms}
        for arm in planned.values():
            if arm.filling not in stores and (spec := arm.pairs.job(chain)) is not None:
                stores[arm.filling] = spec
        for label, arm in planned.items():
            settings, extra = self.settings_of(label), stores.get(arm.filling)
            spec = self.specs.segmenter(self.store, label, extra, seed, settings)
            graph.need(spec, settings.epochs, f"segmenter {label}, {name}")
            segmenters[label], epochs[label] = spec, settings.epochs
        return Replicate(seed, self.store, segmenters, epochs, chain.stages, chain.scores, stores)


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
