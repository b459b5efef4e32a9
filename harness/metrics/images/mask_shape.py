"""Shapes of binary masks: descriptors and their distances, a plausibility rule learnt from training
masks, cleaning.

A mask is H x W bool, one pixel a square of 1 px; components and holes by 8- and 4-neighbourhood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.metrics.score import Score, share_interval, undefined

Mask = NDArray[np.bool_]

_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class MaskShape:
    """Descriptors of one mask. All but the counts are NaN for an empty mask.

    Attributes:
        area_px: structure pixels.
        components: 8-connected pieces.
        holes: 4-connected background pieces that do not reach the frame's edge.
        solidity: area / area of the convex hull, of the largest piece; 1 is convex.
        eccentricity: of the ellipse with the largest piece's second moments; 0 is a circle.
        boundary_roughness: perimeter / perimeter of the convex hull, of the largest piece (both
            by Crofton's formula); about 1 for a smooth convex shape, more for a ragged one.
        row, column: centroid of all pixels, in pixels from the frame's centre.
        height_px, width_px: of the box around all pixels.
        checkerboard_energy: by the function of this name; NaN in frames below 16 px and for a mask
            that fills its frame.
    """

    area_px: int
    components: int
    holes: int
    solidity: float
    eccentricity: float
    boundary_roughness: float
    row: float
    column: float
    height_px: float
    width_px: float
    checkerboard_energy: float


def _as_mask(mask: NDArray[Any]) -> Mask:
    array = np.asarray(mask)
    if array.ndim != 2 or array.dtype != np.bool_:
        raise DataError(
            f"a mask must be H x W bool, but got shape {array.shape} of {array.dtype}; "
            "threshold it first"
        )
    return array


def largest(mask: Mask, joined: Mask | None = None) -> tuple[Mask, int]:
    """The largest connected piece (the first of equals) and the number of pieces.

    Args:
        mask: of any number of axes.
        joined: the neighbours that count as connected; None: those that share a face.
    """
    from scipy import ndimage

    labels, count = ndimage.label(mask, joined)
    if count < 2:
        return mask, int(count)
    sizes = np.bincount(labels.ravel())[1:]
    return labels == int(np.argmax(sizes)) + 1, int(count)


def describe_mask(mask: NDArray[Any]) -> MaskShape:
    """Descriptors of one mask, H x W bool."""
    from scipy import ndimage
    from skimage import measure

    whole = _as_mask(mask)
    area = int(whole.sum())
    if area == 0:
        return MaskShape(0, 0, 0, *([math.nan] * 8))
    piece, components = largest(whole, _EIGHT)
    region = measure.regionprops(piece.astype(np.uint8))[0]
    # A margin, so that an outline along the box is seen as one.
    own = np.pad(region.image, 2)
    hull = np.pad(_hull(region.image), 2)
    rows, columns = np.nonzero(whole)
    middle = (np.array(whole.shape) - 1) / 2
    return MaskShape(
        area_px=area,
        components=components,
        holes=int(ndimage.label(ndimage.binary_fill_holes(whole) & ~whole)[1]),
        solidity=float(own.sum() / hull.sum()),
        eccentricity=float(region.eccentricity),
        boundary_roughness=float(
            measure.perimeter_crofton(own, 4) / measure.perimeter_crofton(hull, 4)
        ),
        row=float(rows.mean() - middle[0]),
        column=float(columns.mean() - middle[1]),
        height_px=float(np.ptp(rows) + 1),
        width_px=float(np.ptp(columns) + 1),
        checkerboard_energy=checkerboard_energy(whole),
    )


def _hull(image: Mask) -> Mask:
    """Convex hull; a shape on one line is its own hull."""
    from skimage.morphology import convex_hull_image

    if min(image.shape) == 1 or image.sum() < 3:
        return image
    hull: Mask = convex_hull_image(image, include_borders=True)
    # Pixels are squares: the hull of their corners holds every pixel of the shape.
    return hull | image


CHECKERBOARD_PERIOD_PX = 16
"""A pattern of every other pixel may come and go over this many pixels or more."""


def checkerboard_energy(image: NDArray[Any]) -> float:
    """Share of an image's power in patterns of every other pixel, as transposed convolutions leave.

    Counted are frequencies within 1/16 per pixel of the Nyquist point of the rows (stripes), the
    columns (stripes) or both (checkerboard), of the image less its mean, under a Hann window (else
    a frame whose opposite edges differ looks striped). About 0 for a smooth image, 0.06 for white
    noise, 1 for a pattern of 1 px over the whole frame, over half for one that fills a structure;
    real masks of 128 x 128 px lie near 0.003 (their outline has steps), CT near 0.0003.

    Args:
        image: H x W, bool or grey, finite.

    Returns:
        0 to 1; NaN for a constant image and for an edge below 16 px.

    Raises:
        DataError: not H x W, or not finite.

    Source: the artefact, Odena et al. 2016; this measure is ours.
    """
    x = np.asarray(image, np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise DataError(
            f"an image must be H x W of finite numbers, but got shape {x.shape} with "
            f"{int((~np.isfinite(x)).sum())} that are not; pass one channel"
        )
    if min(x.shape) < CHECKERBOARD_PERIOD_PX or np.ptp(x) == 0:
        return math.nan
    # Periodic windows, without their zero: frequencies of the pattern stay where they are.
    rows, columns = (np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in x.shape)
    window = rows[:, None] * columns[None, :]
    power = np.abs(np.fft.fft2(window * (x - (window * x).sum() / window.sum()))) ** 2
    reach = 1 / CHECKERBOARD_PERIOD_PX
    low = [np.abs(np.fft.fftfreq(n)) <= reach for n in x.shape]
    high = [0.5 - np.abs(np.fft.fftfreq(n)) <= reach for n in x.shape]
    ends = np.ix_(*high), np.ix_(high[0], low[1]), np.ix_(low[0], high[1])
    return float(sum(power[end].sum() for end in ends) / power.sum())


def describe_masks(masks: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Descriptors of n masks (n x H x W bool), each name with a float64 array of length n."""
    shapes = [describe_mask(mask) for mask in masks]
    return {
        field.name: np.array([getattr(shape, field.name) for shape in shapes], np.float64)
        for field in fields(MaskShape)
    }


def clean_mask(mask: NDArray[Any]) -> Mask:
    """Holes filled, then the largest 8-connected piece kept; an empty mask stays empty."""
    from scipy import ndimage

    filled: Mask = ndimage.binary_fill_holes(_as_mask(mask))
    return largest(filled, _EIGHT)[0].copy()


_SIZES = ("area_px", "height_px", "width_px")
_PLACES = {"row": "height_px", "column": "width_px"}


@dataclass(frozen=True)
class PlausibilityRule:
    """Ranges that a plausible mask's descriptors lie in; learnt by `fit_plausibility`.

    `ranges` has the (lowest, highest) by descriptor, ends included.
    """

    ranges: dict[str, tuple[float, float]]

    def check(self, mask: NDArray[Any]) -> str | None:
        """None for a plausible mask (H x W bool), else the first rule that it breaks, in words."""
        shape = describe_mask(mask)
        if shape.area_px == 0:
            return "the mask is empty"
        for name, (low, high) in self.ranges.items():
            value = float(getattr(shape, name))
            if not low <= value <= high:
                return f"{name} {value:.4g} is outside {low:.4g} to {high:.4g}"
        return None


def fit_plausibility(masks: NDArray[Any], tolerance: float) -> PlausibilityRule:
    """Learn the ranges of area, box, centroid and solidity from training masks.

    Sizes are widened to low x (1 - tolerance) .. high x (1 + tolerance); centroids by tolerance
    x the training masks' median height or width at both ends; solidity's lower end is multiplied by
    (1 - tolerance). Empty masks (structure-free slices) are left out.

    Args:
        masks: n x H x W bool, of training patients only.
        tolerance: share, 0 or more.

    Raises:
        DataError: no mask has a structure pixel.
    """
    kept = [mask for mask in np.asarray(masks) if mask.any()]
    if not kept:
        raise DataError(
            "a plausibility rule needs at least one training mask with the structure, "
            f"but got {len(masks)} empty ones; check the structures that were read"
        )
    found = describe_masks(np.stack(kept))
    shrink = max(0.0, 1.0 - tolerance)
    ranges = {}
    for name in _SIZES:
        low, high = float(found[name].min()), float(found[name].max())
        ranges[name] = (low * shrink, high * (1.0 + tolerance))
    for name, size in _PLACES.items():
        slack = tolerance * float(np.median(found[size]))
        ranges[name] = (float(found[name].min()) - slack, float(found[name].max()) + slack)
    ranges["solidity"] = (float(found["solidity"].min()) * shrink, 1.0)
    return PlausibilityRule(ranges)


def implausible_share(rule: PlausibilityRule, masks: NDArray[Any]) -> Score:
    """Share of masks (n x H x W bool) that break the rule, with Wilson's 95 % interval.

    Empty masks break it. Masks are taken for independent: for a generator's draws, not for slices.
    """
    n = len(masks)
    if n == 0:
        return undefined("no masks", 0, "masks")
    broken = sum(rule.check(mask) is not None for mask in masks)
    return Score(broken / n, share_interval(broken, n), n, "masks")


def descriptor_distances(
    real: dict[str, NDArray[Any]], synthetic: dict[str, NDArray[Any]]
) -> dict[str, Score]:
    """How far each descriptor's distribution lies from the real one: Wasserstein-1 distance.

    It is the mean distance over which values must move to turn one distribution into the other, and
    depends on the number of masks: read it beside that of real halves.

    Args:
        real, synthetic: by `describe_masks`, the same names on both sides.

    Returns:
        For each descriptor `<name>` in its own unit and `<name>_in_sd` in standard deviations of
        the real masks (n - 1); `units` says which. Values that are NaN (of empty masks) are left
        out, and `note` says how many; NaN where none are left or the real ones do not differ.

    Raises:
        DataError: other names on one side than on the other.
    """
    if real.keys() != synthetic.keys():
        differing = sorted(real.keys() ^ synthetic.keys())
        raise DataError(
            "both sides need the same descriptors, "
            f"but got {', '.join(differing)} on one side only; use describe_masks for both"
        )
    found = {}
    for name in real:
        found.update(_descriptor_distance(name, real[name], synthetic[name]))
    return found


def _descriptor_distance(name: str, real: NDArray[Any], fake: NDArray[Any]) -> dict[str, Score]:
    from scipy import stats

    sides = [np.asarray(values, np.float64) for values in (real, fake)]
    kept = [values[np.isfinite(values)] for values in sides]
    gone = [len(values) - len(left) for values, left in zip(sides, kept, strict=True)]
    n = min(len(left) for left in kept)
    note = (
        f"left out without a value: {gone[0]} of {len(sides[0])} real and "
        f"{gone[1]} of {len(sides[1])} synthetic masks"
        if any(gone)
        else None
    )
    own, in_sd = "masks; value in the descriptor's unit", "masks; value in real standard deviations"
    if n == 0:
        reason = "a side without a value" if note is None else note
        return {name: undefined(reason, 0, own), f"{name}_in_sd": undefined(reason, 0, in_sd)}
    distance = float(stats.wasserstein_distance(*kept))
    spread = float(kept[0].std(ddof=1)) if len(kept[0]) > 1 else 0.0
    scaled = (
        Score(distance / spread, None, n, in_sd, note)
        if spread > 0
        else undefined("the real masks do not differ", n, in_sd)
    )
    return {name: Score(distance, None, n, own, note), f"{name}_in_sd": scaled}
