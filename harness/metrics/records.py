"""The record of each score: what it is called, which way is better, what it needs, how it is found.

Jobs, page, console, MLflow, `harness score` and the objective of a sweep read it. A new score is a
record of its own and a line in `config.choices.SCORES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.rng import generator
from harness.config.choices import SCORES
from harness.metrics.fidelity.kid_fid import fid, kid
from harness.metrics.images.artefacts import bands_db, checkerboard_db, edge_error
from harness.metrics.images.mask_shape import describe_masks
from harness.metrics.images.similarity import paired_similarity, ssim_diversity
from harness.metrics.score import Score, undefined

PREFIX = "quality/"
"""Of a score's key in journals, results, MLflow and a sweep's objective."""

DIVERSITY_PAIRS = 200
COSTS = {"cost/epochs": ("epochs a seed", "fewer is cheaper")}
"""Objectives of a sweep that are no scores."""

Need = Literal["features", "pairs", "samples", "masks", "raw", "patients"]


@dataclass(frozen=True)
class ImageSets:
    """Generated images beside real ones, n a side.

    Attributes:
        real, generated: n x H x W in [0, 1]; in pairs where a score needs pairs.
        features: n x d of both, in that order, of one extractor.
        window_hu: width of the window that [0, 1] stands for.
        seed: of draws among the images.
        raw: what a mask network gave, before its threshold, n x H x W in [0, 1].
    """

    real: NDArray[np.float32]
    generated: NDArray[np.float32]
    features: tuple[NDArray[np.float32], NDArray[np.float32]]
    window_hu: float
    seed: int
    raw: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))

    @cached_property
    def likeness(self) -> dict[str, Score]:
        """Means over pairs."""
        return paired_similarity(self.real, self.generated).means()

    @cached_property
    def diversity(self) -> tuple[Score, Score]:
        """Mean 1 - SSIM between generated images, and between real ones."""
        source = generator(self.seed, "diversity")
        generated = ssim_diversity(self.generated, DIVERSITY_PAIRS, source)
        return generated, ssim_diversity(self.real, DIVERSITY_PAIRS, source)

    @cached_property
    def areas(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Pixels of each mask, generated and real."""
        sides = (self.generated > 0.5, self.real > 0.5)
        return sides[0].sum(axis=(1, 2)), sides[1].sum(axis=(1, 2))


@dataclass(frozen=True)
class ScoreRecord:
    """Attributes:
    title: in tables and on axes.
    needs: "features" of unpaired sets; "pairs" of images; "samples", unpaired images themselves;
        "masks", unpaired binary ones; "raw", generated ones before the threshold; "patients",
        labels of the real images as well.
    compute: from two sets; None for what `harness score` alone computes.
    better: "low", "high", or "" where neither is.
    unit: or what a reader should know instead of a unit.
    bounds: of any value.
    reference: the independent implementation that its tests compare with.
    curve: drawn by epoch on the page of a sweep.
    """

    title: str
    needs: Need
    compute: Callable[[ImageSets], Score] | None
    better: Literal["low", "high", ""] = ""
    unit: str = ""
    bounds: tuple[float, float] = (-np.inf, np.inf)
    reference: str = ""
    curve: bool = False

    @property
    def note(self) -> str:
        """Unit or direction, in words."""
        words = {"low": "lower is better", "high": "higher is better", "": ""}
        return self.unit or words[self.better]


def record_of(name: str) -> ScoreRecord | None:
    """The record behind a key, with or without its prefix; None for what is no score."""
    key = name.removeprefix(PREFIX)
    return SCORES.get(key) if key in SCORES.names() else None


def measure(sets: ImageSets | None, *offered: Need) -> dict[str, float]:
    """Every registered score that needs what is offered, by key; NaN where `sets` is None."""
    records = {name: SCORES.get(name) for name in SCORES.names()}
    return {
        f"{PREFIX}{name}": compute(name, sets).value if sets is not None else np.nan
        for name, record in records.items()
        if record.needs in offered and record.compute is not None
    }


def compute(name: str, sets: ImageSets) -> Score:
    """One score; what it raises is its own, and says whose it is.

    Raises:
        DataError: it gives something else than a `Score`.
    """
    try:
        found = SCORES.get(name).compute(sets)
    except Exception as error:
        error.add_note(f"while the score '{name}' was computed")
        raise
    if not isinstance(found, Score):
        raise DataError(
            f"the score '{name}' must give a Score, but got a {type(found).__name__}; mend its "
            "function"
        )
    return found


def measured_names(names: Any) -> list[str]:
    """The scores among the names of values, in the order of the table of records."""
    known = [f"{PREFIX}{name}" for name in SCORES.names()]
    found = dict.fromkeys(name for name in names if name.startswith(PREFIX))
    return sorted(found, key=lambda name: known.index(name) if name in known else len(known))


def curve_names() -> list[str]:
    """Keys of the scores that are drawn by epoch."""
    return [f"{PREFIX}{name}" for name in SCORES.names() if SCORES.get(name).curve]


def title_of(name: str) -> str:
    """A score's title, without unit or direction."""
    return _title(name)[0]


def score_name(name: str, extractor: str = "", n: int | None = None) -> str:
    """A score's title with unit or direction; those of features also with extractor and n."""
    title, notes = _title(name)
    if _of_features(name):
        notes.append(extractor or "extractor not recorded")
    return _with_notes(title, notes + _counted(n))


def axis_name(name: str, extractor: str = "", n: int | None = None) -> str:
    """`score_name` for an axis: title and direction above, extractor and n below."""
    first = _with_notes(*_title(name))
    second = ([extractor] if _of_features(name) and extractor else []) + _counted(n)
    return f"{first}\n{', '.join(second)}" if second else first


def _of_features(name: str) -> bool:
    record = record_of(name)
    return record is not None and record.needs == "features"


def _counted(n: int | None) -> list[str]:
    return [] if n is None else [f"n = {n}"]


def _with_notes(title: str, notes: list[str]) -> str:
    return f"{title} ({'; '.join(notes)})" if notes else title


def _title(name: str) -> tuple[str, list[str]]:
    record = record_of(name)
    if record is None:
        title, note = COSTS.get(name, (name.rpartition("/")[2].replace("_", " "), ""))
    else:
        title, note = record.title, record.note
    return title, [note] if note else []


def _mae_hu(sets: ImageSets) -> Score:
    found = sets.likeness["mae"]
    return Score(found.value * sets.window_hu, None, found.n, found.units, found.note)


def _area_ratio(sets: ImageSets) -> Score:
    generated, real = (_mean(area) for area in sets.areas)
    if not real.value:
        return undefined("the real masks are empty", real.n)
    return Score(generated.value / real.value, None, real.n, "images", real.note)


def _components(sets: ImageSets) -> Score:
    return _mean(describe_masks(sets.generated > 0.5)["components"])


def _empty_share(sets: ImageSets) -> Score:
    return _mean(sets.areas[0] == 0)


def _mean(values: NDArray[Any]) -> Score:
    n = len(values)
    return Score(float(values.mean()), None, n, "images") if n else undefined("no images", n)


KID = ScoreRecord(
    "KID", "features", lambda sets: kid(*sets.features), "low",
    reference="torch-fidelity; scikit-learn's kernel", curve=True,
)  # fmt: skip
FID = ScoreRecord(
    "FID", "features", lambda sets: fid(*sets.features), "low",
    bounds=(0, np.inf), reference="torch-fidelity, MONAI", curve=True,
)  # fmt: skip
SSIM = ScoreRecord(
    "SSIM", "pairs", lambda sets: sets.likeness["ssim"], "high",
    bounds=(-1, 1), reference="its formula; torchmetrics", curve=True,
)  # fmt: skip
MS_SSIM_4 = ScoreRecord(
    "MS-SSIM, 4 scales", "pairs", lambda sets: sets.likeness["ms_ssim_4"], "high",
    bounds=(0, 1), reference="torchmetrics",
)  # fmt: skip
PSNR_DB = ScoreRecord(
    "PSNR", "pairs", lambda sets: sets.likeness["psnr_db"], "high", "dB",
    reference="scikit-image",
)  # fmt: skip
MAE_HU = ScoreRecord(
    "mean absolute error", "pairs", _mae_hu, "low", "HU", (0, np.inf), "numpy, by hand"
)
BANDS_DB = ScoreRecord(
    "repeated bands", "pairs", lambda sets: bands_db(sets.generated, sets.real), "low", "dB",
    reference="scipy's periodogram, peak by peak", curve=True,
)  # fmt: skip
EDGE_ERROR = ScoreRecord(
    "error at the edge / in the middle", "pairs",
    lambda sets: edge_error(sets.generated, sets.real), unit="real anatomy: about 1",
    bounds=(0, np.inf), reference="loops over pixels",
)  # fmt: skip
CHECKERBOARD_DB = ScoreRecord(
    "checkerboard", "raw", lambda sets: checkerboard_db(sets.raw), "low", "dB",
    reference="scipy's periodogram, peak by peak",
)  # fmt: skip
DIVERSITY = ScoreRecord(
    "diversity of samples", "samples", lambda sets: sets.diversity[0],
    unit="mean 1 - SSIM of pairs", bounds=(0, 2), reference="SSIM by its formula, pair by pair",
)  # fmt: skip
DIVERSITY_REAL = ScoreRecord(
    "diversity of real ones", "samples", lambda sets: sets.diversity[1],
    unit="mean 1 - SSIM of pairs", bounds=(0, 2), reference="SSIM by its formula, pair by pair",
)  # fmt: skip
AREA_RATIO = ScoreRecord(
    "mask area / real area", "masks", _area_ratio, unit="1 is right",
    bounds=(0, np.inf), reference="sums of pixels",
)  # fmt: skip
COMPONENTS = ScoreRecord(
    "regions per mask", "masks", _components, unit="real structures: about 1",
    bounds=(0, np.inf), reference="scipy.ndimage.label",
)  # fmt: skip
EMPTY_SHARE = ScoreRecord("empty masks", "masks", _empty_share, "low", "share", (0, 1), "a count")
KID_BY_PATIENT = ScoreRecord("KID by patient", "patients", None, "low", reference="loops")
PRECISION = ScoreRecord("precision", "patients", None, "high", bounds=(0, 1), reference="prdc")
RECALL = ScoreRecord("recall", "patients", None, "high", bounds=(0, 1), reference="prdc")
DENSITY = ScoreRecord("density", "patients", None, "high", bounds=(0, np.inf), reference="prdc")
COVERAGE = ScoreRecord("coverage", "patients", None, "high", bounds=(0, 1), reference="prdc")
