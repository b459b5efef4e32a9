"""Specs of an experiment's jobs: which part of the config each one depends on.

Everything here is plain data, so that plans have digests before anything ran, and no planner needs
torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.config.arms import arm_of
from harness.config.experiment import Experiment, to_dict
from harness.config.legacy import StageTwoTest
from harness.config.section import Section
from harness.config.stages import SegmentationConfig, StageConfig
from harness.jobs.kinds import KINDS
from harness.jobs.spec import Input, Phases, Spec

SEEDS_PER_ROOT = 10_000

BASELINE_SPLITS = 20
"""Random splits of the real patients behind a real-real baseline."""

EARLIER_LOOK = "earlier look"
"""Input of an opening: the one at the look before."""

_SHOWN = ("mask", "ct")

_SECTIONS = {
    **dict.fromkeys(("mask-stage", "mask-decay", "mask-score"), "mask"),
    **dict.fromkeys(("segmenter", "test-score", "validation-score"), "segmentation"),
}


def section_of(kind: str) -> str:
    """The experiment's section of the network that a kind of job computes with."""
    return _SECTIONS.get(kind, "image")


def _as_ever(section: Section, **usual: Any) -> dict[str, Any]:
    """A section as plain data without settings that came later and have their usual value, so that
    what was made before is the same as ever."""
    config = to_dict(section)
    return {name: v for name, v in config.items() if name not in usual or v != usual[name]}


def stage_settings(settings: StageConfig) -> dict[str, Any]:
    """What of a GAN stage's settings enters its digests."""
    return _as_ever(settings, patients=None)


def bearing_settings(settings: SegmentationConfig, arm: str) -> dict[str, Any]:
    """What of the settings bears on an arm's trainings, as plain data."""
    config, of = to_dict(settings), arm_of(arm)
    if not of.augmented:
        del config["augmentation"]
    if of.order != "first":
        del config["pretrain"]
    if of.order not in ("mixed", "added", "longer"):
        del config["synthetic_fraction"]
    if of.order != "added":
        del config["synthetic_weight"]
    return config


def segmenter_settings(settings: SegmentationConfig, arm: str) -> dict[str, Any]:
    """What of the settings enters the spec of an arm's trainings."""
    config = bearing_settings(settings, arm)
    if config["structure_share"] is None:  # left out: trainings are the same as ever
        del config["structure_share"]
    if config.get("neighbours") == 0:
        del config["neighbours"], config["neighbour_dropout"]
    return config


@dataclass(frozen=True)
class Specs:
    """Builds specs.

    Attributes:
        experiment: the resolved experiment.
        compute: resolved device, threads and precision, one or by section of the network.
        extractor: resolved feature extractor: {"name": ..., "weights": digest}.
        auditors: those of audits, likewise; the segmenter has no digest before it is trained.
    """

    experiment: Experiment
    compute: Mapping[str, Any]
    extractor: Mapping[str, str]
    auditors: tuple[Mapping[str, str], ...] = ()

    def make(
        self,
        kind: str,
        config: Mapping[str, Any],
        inputs: Mapping[str, Input],
        seed: int | None = None,
        compute: bool = True,
    ) -> Spec:
        """A spec of the kind's present recipe; `compute` is left out where results do not depend
        on it, `seed` where there is no chance."""
        root = 0 if seed is None else self.experiment.seed * SEEDS_PER_ROOT + seed
        return Spec(
            kind,
            config,
            root,
            self.compute_of(kind) if compute else {},
            inputs,
            KINDS.get(kind).recipe,
        )

    def compute_of(self, kind: str) -> dict[str, Any]:
        """Device, threads and the one precision of a kind of job."""
        precision = self.compute["precision"]
        if not isinstance(precision, str):
            precision = precision[section_of(kind)]
        return {**self.compute, "precision": precision}

    def prepare(self, roles: Mapping[str, str]) -> Spec:
        """The store of pairs. `roles` maps patient content digests to roles."""
        config = to_dict(self.experiment.data)
        away = "source root phantom dicom images patterns roles limit exclude without_structures"
        for name in away.split():
            del config[name]  # patients enter by content digest, with the role they got
        if config["crop"]["placement"] != "fixed":
            del config["crop"]["fixed_row"], config["crop"]["fixed_column"]
        if legacy := self.experiment.legacy.of_pairs:
            config["legacy"] = legacy
        return self.make(
            "prepare", {**config, "patients": dict(sorted(roles.items()))}, {}, compute=False
        )

    def stage(
        self, store: Spec, settings: StageConfig, seed: int, stop_on: Sequence[str] = ()
    ) -> Spec:
        """A stage's training at a constant rate: its length is no part of it."""
        config = stage_settings(settings)
        del config["schedule"]
        if stop_on:  # left out where nothing is asked for: the training is the same as ever
            config["stop_on"] = sorted(stop_on)
        return self.make(f"{settings.stage}-stage", config, {"store": store.done()}, seed)

    def training(
        self, store: Spec, settings: StageConfig, seed: int, stop_on: Sequence[str] = ()
    ) -> Phases:
        """A stage's training to its end; epochs at a decaying rate are a job of their own.

        Args:
            stop_on: failures that end it early.
        """
        steady = self.stage(store, settings, seed, stop_on)
        epochs = settings.schedule.epochs
        first = settings.steady_epochs(epochs)
        if first == epochs:
            return Phases(steady, epochs, epochs)
        inputs = {"store": store.done(), "steady": steady.done(first)}
        config = {**steady.config, "epochs": epochs}
        decay = self.make(f"{settings.stage}-decay", config, inputs, seed)
        return Phases(steady, first, epochs, decay)

    def diversity(self, store: Spec, shows: str) -> Spec:
        """How varied real images are, as a stage that `shows` them would: what its samples are
        judged by."""
        config = {"shows": shows, "images": self.experiment.metrics.images}
        return self.make("real-diversity", config, {"store": store.done()}, compute=False)

    def calibration(self, store: Spec, of: str, shows: str, images: int, repeats: int) -> Spec:
        """What the verdict on `of` ("collapse", "memorisation") detects at `images` images."""
        config = {"of": of, "shows": shows, "images": images, "repeats": repeats}
        return self.make("calibration", config, {"store": store.done()}, compute=False)

    def score(self, store: Spec, settings: StageConfig, training: Spec, epoch: int) -> Spec:
        """The score of a checkpoint of a stage's training."""
        metrics = self.experiment.metrics
        config = {"extractor": dict(self.extractor), "images": metrics.images}
        if settings.shows == "mask":
            config["threshold"] = self.experiment.synthesis.threshold
        inputs = {
            "store": store.done(),
            "training": training.done(epoch),
            "diversity": self.diversity(store, settings.shows).done(),
        }
        seed = training.seed - self.experiment.seed * SEEDS_PER_ROOT
        return self.make(f"{settings.stage}-score", config, inputs, seed)

    def image_test(
        self, store: Spec, image: Input, mask: Input | None, test: StageTwoTest, seed: int
    ) -> Spec:
        """A checkpoint of Stage II, used in another way than it was trained for.

        Args:
            mask: the checkpoint that makes masks, where masks are to be made.
        """
        config: dict[str, Any] = {
            **to_dict(test),
            "masks": list(self.experiment.legacy.masks),
            "extractor": dict(self.extractor),
            "images": self.experiment.metrics.images,
        }
        inputs = {"store": store.done(), "training": image}
        if mask is not None:
            inputs["mask"] = mask
            made = to_dict(self.experiment.synthesis)
            config["synthesis"] = {k: made[k] for k in ("threshold", "tolerance", "attempts")}
        return self.make("image-test", config, inputs, seed)

    def real_baseline(
        self, store: Spec, shows: str, extractor: Mapping[str, str], judge: Input | None
    ) -> Spec:
        """Real-real baselines of one extractor; `judge` is the checkpoint behind the
        segmenter's eyes."""
        config = {
            "shows": shows,
            "extractor": dict(extractor),
            "images": self.experiment.metrics.images,
            "splits": BASELINE_SPLITS,
        }
        inputs = {"store": store.done()}
        if extractor["name"] == "segmenter" and judge is not None:
            inputs["judge"] = judge
        return self.make("real-baseline", config, inputs)

    def audit_parts(self, store: Spec, judge: Input | None) -> dict[str, Spec]:
        """Real-real baselines and diversities that an audit is made with, by input name."""
        parts = {f"diversity-{shows}": self.diversity(store, shows) for shows in _SHOWN}
        for number, extractor in enumerate(self.audit_extractors(judge)):
            for shows in _SHOWN:
                if not (shows == "mask" and extractor["name"] == "segmenter"):
                    parts[f"baseline-{shows}-{number}"] = self.real_baseline(
                        store, shows, extractor, judge
                    )
        return parts

    def audit_extractors(self, judge: Input | None) -> list[Mapping[str, str]]:
        """The auditors that can be used; the segmenter needs a judge."""
        wanted = self.auditors or (self.extractor,)
        return [e for e in wanted if e["name"] != "segmenter" or judge is not None]

    def audit(
        self, store: Spec, synthesis: Spec, image: Input, judge: Input | None, seed: int
    ) -> Spec:
        """Everything that is measured on one replicate's synthetic pairs."""
        config = {
            "extractors": [dict(entry) for entry in self.audit_extractors(judge)],
            "images": self.experiment.metrics.images,
            "tolerance": self.experiment.synthesis.tolerance,
        }
        inputs = {"store": store.done(), "synthetic": synthesis.done(), "image": image}
        if judge is not None:
            inputs["judge"] = judge
        inputs |= {name: spec.done() for name, spec in self.audit_parts(store, judge).items()}
        return self.make("audit", config, inputs, seed)

    def synthesis(self, store: Spec, mask: Input, image: Input, seed: int) -> Spec:
        """Synthetic pairs from one replicate's two generators."""
        inputs = {"store": store.done(), "mask": mask, "image": image}
        config = _as_ever(self.experiment.synthesis, clean=True)
        return self.make("synthesis", config, inputs, seed)

    def synthesis_on_real_masks(self, store: Spec, image: Input, seed: int) -> Spec:
        """CT that one replicate's Stage II generates for real training masks."""
        config = {"pairs": self.experiment.synthesis.pairs}
        return self.make(
            "synthesis-on-real-masks", config, {"store": store.done(), "image": image}, seed
        )

    def fresh(self, store: Spec) -> Spec:
        """Pairs of phantoms that are none of the experiment's: as many as synthetic ones."""
        data, pairs = self.experiment.data, self.experiment.synthesis.pairs
        config: dict[str, Any] = {"phantom": to_dict(data.phantom), "pairs": pairs}
        return self.make("fresh-phantoms", config, {"store": store.done()}, compute=False)

    def segmenter(
        self,
        store: Spec,
        arm: str,
        extra: Spec | None,
        seed: int,
        settings: SegmentationConfig | None = None,
    ) -> Spec:
        """One arm's segmenter of one replicate; the initial weights depend on the seed alone.

        Args:
            extra: makes the pairs of the arm's extra places, where a job does.
            settings: other ones than the experiment's.
        """
        config, of = segmenter_settings(settings or self.experiment.segmentation, arm), arm_of(arm)
        order = "mixed" if of.order == "longer" else of.order  # its updates are the difference
        fill = {"extra": of.filling, "augment": of.augmented, "order": order}
        inputs = {"store": store.done()}
        if extra is not None:
            inputs["extra"] = extra.done()
        return self.make("segmenter", {**config, "fill": fill}, inputs, seed)

    def matched_updates(self, updates: int, trained: Mapping[str, Input]) -> Spec:
        """How many updates segmenters would have made in the time of the generators too.

        Args:
            trained: "generator ..." and "segmenter ..." with what each replicate trained.
        """
        return self.make("matched-updates", {"updates": updates}, trained, compute=False)

    def opening(
        self,
        store: Spec,
        segmenters: Mapping[str, Input],
        rule: Mapping[str, Any],
        looked_at: int = 0,
        earlier: Spec | None = None,
    ) -> Spec:
        """Opening the test: once, after all training, under a declared rule.

        Args:
            looked_at: candidates that were looked at on the test patients before.
            earlier: the opening at the look before this one, for some of the segmenters.
        """
        inputs = {"store": store.done(), **segmenters}
        if earlier is not None:
            inputs[EARLIER_LOOK] = earlier.done()
        counts = {"looked_at": looked_at} if looked_at else {}
        return self.make("opening", {"rule": dict(rule), **counts}, inputs, compute=False)

    def test_score(self, store: Spec, segmenter: Input, opening: Spec) -> Spec:
        """Dice of one segmenter on the test patients."""
        inputs = {"store": store.done(), "segmenter": segmenter, "opening": opening.done()}
        return self.make("test-score", {}, inputs)

    def validation_score(self, store: Spec, segmenter: Input) -> Spec:
        """Dice of one segmenter on the validation patients, as `test_score` computes it."""
        inputs = {"store": store.done(), "segmenter": segmenter}
        return self.make("validation-score", {}, inputs)
