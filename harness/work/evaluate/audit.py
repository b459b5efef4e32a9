"""Job kind `audit`: everything that is measured on one replicate's synthetic pairs.

Masks and CT are compared with those of validation patients, in the eyes of several extractors and
beside real-real baselines; judged for collapse and for copies of training patients; and the
labels are checked: a segmenter trained on real training patients should find the conditioning mask
again.
Nothing here reads a test patient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.rng import generator as numpy_generator
from harness.base.rng import torch_generator
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.jobs.journal import Journal
from harness.metrics.calibration.planted import mirrored
from harness.metrics.collapse.verdict import Collapse
from harness.metrics.extractors.coarse_pixels import coarse_pixels
from harness.metrics.fidelity.by_patient import fid_with_interval, kid_by_patient
from harness.metrics.fidelity.kid_fid import kid
from harness.metrics.fidelity.prdc import prdc
from harness.metrics.images.mask_shape import (
    describe_masks,
    descriptor_distances,
    fit_plausibility,
    implausible_share,
)
from harness.metrics.images.paired import (
    dice_of_pairs,
    label_gain,
    label_sentence,
    paired_scores,
    patient_mean,
)
from harness.metrics.memorisation.neighbours import Pair, closest_pairs, neighbours
from harness.metrics.memorisation.permutation_test import judge_memorisation
from harness.metrics.score import Score
from harness.training.pictures import grid, to_grey, write_png
from harness.work.evaluate.features import SEGMENTER, Features
from harness.work.evaluate.real_diversity import (
    DiversityJudge,
    journal_values,
    network_images,
    patients_of,
    real_rows,
    shown_images,
    unit,
)
from harness.work.train.image_stage import conditioning
from harness.work.train.networks import image_network, segmenter, trained

SHOWN = ("mask", "ct")
CLOSEST = 8
"""Pairs in the gallery of nearest training neighbours."""


class Audit:
    """One replicate's synthetic pairs beside real ones."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.config = context.spec.config
        self.store = Store.open(context.input("store") / "store")
        self.made = Store.open(context.input("synthetic") / "store")
        count = min(len(self.made.rows), self.config["images"])
        source = numpy_generator(context.spec.seed, "audit")
        self.rows = np.sort(source.permutation(len(self.made.rows))[:count])
        self.validation = real_rows(self.store, "validation", most=self.config["images"])
        if len(self.validation) < 2 or count < 2:
            raise DataError(
                "an audit needs at least 2 synthetic pairs and 2 validation pairs that hold the "
                "structure, "
                f"but got {count} and {len(self.validation)}; give both more"
            )
        self.values: dict[str, float] = {}

    # --- scores in the eyes of extractors ---------------------------------------------------

    def scores(self, shows: str) -> list[dict[str, Any]]:
        """A block per extractor: who looks, scores with intervals, real_baselines beside them."""
        blocks = []
        for number, wanted in enumerate(self.config["extractors"]):
            if shows == "mask" and wanted["name"] == SEGMENTER:
                continue  # it learnt CT
            features = Features(self.context, wanted)
            real = features.real(network_images(self.store, self.validation, shows))
            fake = features.made(network_images(self.made, self.rows, shows))
            baseline = self.context.input_result(f"baseline-{shows}-{number}")["values"][
                "real_baselines"
            ]
            scores = _fidelity(real, fake, patients_of(self.store, self.validation))
            for name, score in scores.items():
                self.values[f"quality/{shows}_{name}_{features.extractor.name}"] = score.value
            blocks.append(
                {
                    "extractor": features.name(),
                    "scores": {name: score.to_dict() for name, score in scores.items()},
                    "real_baselines": baseline,
                }
            )
        return blocks

    # --- verdicts ------------------------------------------------------------------------------

    def collapse(self, shows: str) -> Collapse:
        """The verdict on the diversity of all synthetic pairs."""
        judge = DiversityJudge(self.context, self.store, f"diversity-{shows}", None)
        verdict = judge.judge(shown_images(self.made, np.arange(len(self.made.rows)), shows))
        for name, value in journal_values(verdict).items():
            self.values[f"{name}_{shows}"] = value
        return verdict

    def memorisation(self, shows: str) -> dict[str, Any]:
        """The verdict on copies of training patients, and a picture of the closest pairs."""
        training, heldout = (real_rows(self.store, role) for role in ("train", "validation"))
        images = [shown_images(self.store, rows, shows) for rows in (training, heldout)]
        fake = shown_images(self.made, self.rows, shows)
        near = neighbours(
            coarse_pixels(images[0]),
            patients_of(self.store, training),
            coarse_pixels(images[1]),
            patients_of(self.store, heldout),
            coarse_pixels(fake),
            *(coarse_pixels(mirrored(side)) for side in images),
        )
        verdict = judge_memorisation(near, numpy_generator(self.context.spec.seed, "memorisation"))
        for name in ("privacy_loss", "authenticity", "copy_rate"):
            self.values[f"memorisation/{name}_{shows}"] = getattr(verdict, name).score.value
        pairs = closest_pairs(near, CLOSEST)
        _draw(self.context, f"closest-{shows}", fake, images[0], pairs)
        return verdict.to_dict() | {"closest": [vars(pair) for pair in pairs]}

    # --- masks, labels, paired CT -----------------------------------------------------------------

    def shapes(self) -> dict[str, Any]:
        """Descriptors of synthetic masks beside validation masks, and implausible ones."""
        synthetic = shown_images(self.made, self.rows, "mask")
        real = shown_images(self.store, self.validation, "mask")
        rule = fit_plausibility(
            shown_images(self.store, real_rows(self.store, "train"), "mask"),
            self.config["tolerance"],
        )
        distances = descriptor_distances(describe_masks(real), describe_masks(synthetic))
        implausible = implausible_share(rule, synthetic)
        self.values["quality/implausible_share"] = implausible.value
        return {
            "distances": {name: score.to_dict() for name, score in distances.items()},
            "implausible": implausible.to_dict(),
        }

    def labels(self) -> dict[str, Any]:
        """Dice of a real-data segmenter against the conditioning masks, and on real pairs."""
        if "judge" not in self.context.spec.inputs:
            return {"note": "no arm trains on real pairs alone, so no segmenter can judge labels"}
        network = trained(self.context, "judge", segmenter)
        scores: dict[str, Any] = {}
        gains: dict[str, Score] = {}
        sides = (("synthetic", self.made, self.rows), ("real", self.store, self.validation))
        for name, store, rows in sides:
            predicted = network.predict(store.ct[rows]).max(axis=1) > 0.5
            truth = np.asarray(store.masks[rows]).max(axis=1) > 0
            patients = None if name == "synthetic" else patients_of(store, rows)
            score = patient_mean(dice_of_pairs(predicted, truth), patients)
            self.values[f"quality/label_dice_{name}"] = score.value
            scores[name] = score.to_dict()
            gains[name] = label_gain(predicted, truth)
        sentence = label_sentence(gains["synthetic"], gains["real"])
        return scores | {"gain": gains["synthetic"].to_dict(), "sentence": sentence}

    def paired(self) -> dict[str, Any]:
        """Stage II on validation masks against the true CT."""
        network = trained(self.context, "image", image_network)
        source = torch_generator(self.context.spec.seed, "paired-noise")
        images = network.generate(conditioning(self.store, self.validation), source)
        if not np.isfinite(images).all():
            return {"note": "the image stage's output is not finite"}
        low, high = self.store.meta["window_hu"]
        scores = paired_scores(
            unit(self.store.ct[self.validation][:, 0]),
            unit(images[:, 0]),
            np.asarray(self.store.masks[self.validation]).max(axis=1) > 0,
            patients_of(self.store, self.validation),
            high - low,
        )
        for name, score in scores.items():
            self.values[f"quality/paired_{name}"] = score.value
        return {name: score.to_dict() for name, score in scores.items()}


def audit_replicate(context: Context) -> None:
    """Audit one replicate's synthetic store."""
    audit = Audit(context)
    values: dict[str, Any] = {
        "n": len(audit.rows),
        "validation": len(audit.validation),
        "masks": audit.shapes(),
        "labels": audit.labels(),
        "paired": audit.paired(),
    }
    if np.isfinite(audit.made.ct[audit.rows]).all():
        for shows in SHOWN:
            values[shows] = {
                "scores": audit.scores(shows),
                "collapse": audit.collapse(shows).to_dict(),
                "memorisation": audit.memorisation(shows),
            }
    journal = Journal(context.folder.journal)
    journal.log(0, audit.values)
    length = journal.sync()
    journal.close()
    pictures = sorted(context.folder.samples.glob("*.png"))
    context.finish(pictures, values, journal_length=length)


def _fidelity(
    real: NDArray[Any], fake: NDArray[Any], patients: NDArray[np.str_]
) -> dict[str, Score]:
    n = min(len(real), len(fake))
    equal = real[_spread(len(real), n)], fake[:n]
    owners = patients[_spread(len(real), n)]
    return {
        "kid": kid(*equal),
        "kid_by_patient": kid_by_patient(*equal, owners),
        "fid": fid_with_interval(*equal, owners),
        **prdc(*equal, patients=owners),
    }


def _spread(of: int, n: int) -> NDArray[np.intp]:
    """n of `of` rows, evenly spread, so that no patient at the end is left out."""
    return np.linspace(0, of - 1, n).round().astype(np.intp)


def _draw(
    context: Context, name: str, fake: NDArray[Any], real: NDArray[Any], pairs: list[Pair]
) -> None:
    """Synthetic images above their nearest training images."""
    above = [fake[pair.synthetic] for pair in pairs]
    below = [real[pair.training] for pair in pairs]
    tiles = np.stack([*above, *below]).astype(np.float32) * 2 - 1
    write_png(context.folder.samples / f"{name}-000000.png", grid(to_grey(tiles), len(pairs)))
