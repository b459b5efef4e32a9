"""Job kind `real-diversity`: how varied real images of different patients are; and the verdict on a
generator beside them.

Real images here are the structure slices of training and validation patients: what the generator
was to learn, and what else it could have drawn. Samples are judged in coarse pixels, without a
network, so that every scored epoch can be judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.rng import generator as numpy_generator
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.metrics.collapse.verdict import (
    Collapse,
    RealDiversity,
    RealSet,
    judge_collapse,
    real_diversity,
    samples_broken,
    undecided,
)
from harness.metrics.extractors.coarse_pixels import NAME, PREPROCESSING, coarse_pixels

MOST_REAL = 1500
"""Real images that are compared with; more would only make it slower."""


def measure_real_diversity(context: Context) -> None:
    """Measure the real-real reference of one stage's images."""
    config = context.spec.config
    store = Store.open(context.input("store") / "store")
    rows = real_rows(store, "train", "validation")
    reference = real_diversity(
        _real_set(store, rows, config["shows"]),
        config["images"],
        numpy_generator(0, "real-diversity", config["shows"]),
    )
    values: dict[str, Any] = {"images": NAME, "preprocessing": PREPROCESSING}
    if isinstance(reference, str):
        values["reason"] = reference
    else:
        values["reference"] = reference.to_dict()
    context.finish([], values)


def real_rows(store: Store, *roles: str, most: int = MOST_REAL) -> NDArray[np.intp]:
    """Rows of structure slices of these roles, ascending; at most `most`, always the same ones."""
    rows = np.concatenate([store.select(role=r, selected=True, with_structure=True) for r in roles])
    if len(rows) > most:
        rows = numpy_generator(0, "real-rows", *roles).permutation(rows)[:most]
    return np.sort(rows)


def patients_of(store: Store, rows: NDArray[np.intp]) -> NDArray[np.str_]:
    """Whose each row is."""
    return np.array([store.rows[row].patient_digest for row in rows])


def shown_images(store: Store, rows: NDArray[np.intp], shows: str) -> NDArray[Any]:
    """Real images as a stage shows them, n x H x W: union masks (bool), or CT in [0, 1].

    `shows`: "mask" (mask crops), "ct-crop" (CT in the mask's crop), "ct" (the whole frame).
    """
    if shows == "mask":
        masks: NDArray[Any] = store.mask_crops(rows).max(axis=1) > 0
        return masks
    ct = store.ct_crops(rows) if shows == "ct-crop" else store.ct[rows]
    return unit(ct[:, 0])


def network_images(store: Store, rows: NDArray[np.intp], shows: str) -> NDArray[np.float32]:
    """`shown_images` as a feature extractor takes them: float32 N x 1 x H x W in [0, 1]."""
    return shown_images(store, rows, shows)[:, None].astype(np.float32)


def unit(images: NDArray[np.floating]) -> NDArray[np.float32]:
    """[-1, 1] to [0, 1]."""
    return np.clip((np.asarray(images, np.float32) + 1) / 2, 0, 1)


def _real_set(store: Store, rows: NDArray[np.intp], shows: str) -> RealSet:
    return RealSet.of(coarse_pixels(shown_images(store, rows, shows)), patients_of(store, rows))


class DiversityJudge:
    """Judges samples against the reference that is an input of the job.

    Args:
        reference: name of the input: a `real-diversity` job.
        training: name of the input whose journal has a say: a GAN's checkpoint; None for none.

    Attributes:
        wanted: samples that a verdict needs; 0 where there is no reference, and no verdict.
    """

    def __init__(
        self,
        context: Context,
        store: Store,
        reference: str = "diversity",
        training: str | None = "training",
    ) -> None:
        values = context.input_result(reference)["values"]
        self._shows: str = context.work.job(context.spec.inputs[reference]).spec().config["shows"]
        self._reason: str | None = values.get("reason")
        self._store = store
        self._seed = context.spec.seed
        self._trained: Mapping[str, Any] = (
            context.input_result(training)["values"] if training else {}
        )
        self._reference = (
            RealDiversity.from_dict(values["reference"]) if self._reason is None else None
        )
        self.wanted = 0 if self._reference is None else self._reference.n

    def judge(self, samples: NDArray[Any]) -> Collapse:
        """The verdict on samples n x H x W, as `shown_images` shows real ones.

        What the training's own journal says comes first: a lost training is no mode collapse.
        """
        verdict = self._by_samples(samples)
        failure = self._trained.get("failure")
        if failure is not None:
            onset, reason = failure["onset"], failure["reason"]
            sentence = f"Convergence failure since epoch {onset}: {reason}."
            return replace(verdict, word="convergence failure", sentence=sentence, onset=onset)
        alike = self._trained.get("alike")
        return replace(verdict, onset=alike["onset"]) if alike is not None else verdict

    def _by_samples(self, samples: NDArray[Any]) -> Collapse:
        if self._reference is None:
            return undecided(f"a verdict {self._reason}", len(samples))
        if not np.isfinite(samples).all():
            return samples_broken(len(samples))
        real = _real_set(self._store, real_rows(self._store, "train", "validation"), self._shows)
        source = numpy_generator(self._seed, "collapse")
        return judge_collapse(self._reference, real, coarse_pixels(samples), source)


def journal_values(verdict: Collapse) -> dict[str, float]:
    """What the curves of a training show of a verdict: each sign relative to real images."""
    values = {f"vs_real/{sign.name}": sign.ratio for sign in verdict.signs}
    if verdict.signs:
        values["vs_real/precision"] = verdict.precision / verdict.real_precision
    return values
