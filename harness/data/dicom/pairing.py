"""Whose contours are these: the series that a structure set was drawn on, and which set is used.

What a set names decides, in this order: images, series, frame of reference. A set that names
images of the folder is drawn on those alone, whatever kind they are. Two frames of reference that
differ contradict each other. Positions decide where nothing that the set names is here and one
series holds all contours. Several sets on one series are merged structure by structure; of two that
have it the one with the stronger claim is used: what it names, then approved before unapproved,
then the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.base.errors import DataError
from harness.base.text import some
from harness.data.dicom.names import is_named, listed, match
from harness.data.dicom.notes import FRAME_DECIDES, POSITIONS_DECIDE, REJECTED
from harness.data.dicom.raster import PLANAR
from harness.data.dicom.rings import near_repeat, tolerance_mm
from harness.data.dicom.segmentation import read_set
from harness.data.dicom.series import Opened, Series
from harness.data.dicom.slices import listed as files_listed
from harness.data.dicom.structures import Roi, StructureSet
from harness.data.dicom.walk import SETS, Header

ON_SLICE = 0.1  # slices, farthest of a contour that lies on a slice
BESIDE = 0.5 + 1e-3  # of them, where the images are named: drawn on another reconstruction
LEAST_SHARE = 0.5  # of the contours, that must lie on slices of the series
SOME = 1e-9  # of them, where its images are named one by one: an incomplete export
BY_IMAGES, BY_SERIES, BY_FRAME, BY_POSITIONS = 3, 2, 1, 0
NOTHING_TO_DRAW_ON = "no usable series of its patient is here: nothing to draw on"
EQUAL_CLAIM = ", with equal claim; name one by data.dicom.series or data.dicom.structure_sets"
_WHY = ("it names the images most directly", "it is approved", "it is the newest", "they are alike")


class Images:
    """Every image file of a folder, used or not, by what a structure set may call it."""

    def __init__(self, headers: Iterable[Header]) -> None:
        self._headers = [header for header in headers if header.kind not in SETS]

    @cached_property
    def by_image(self) -> Mapping[str, Header]:
        return {header.sop: header for header in self._headers if header.sop}

    @cached_property
    def by_series(self) -> Mapping[str, Header]:
        return {header.series: header for header in self._headers if header.series}


@dataclass(frozen=True)
class Claim:
    """A structure set on the series that it was drawn on.

    Attributes:
        header: its file.
        structures: all that it holds.
        series: what it is drawn on.
        level: what says so, `BY_IMAGES` to `BY_POSITIONS`.
        rois: its regions that belong to the series.
        left_out: why regions are not among `rois`, by ROI number.
    """

    header: Header
    structures: StructureSet
    series: Series
    level: int
    rois: tuple[Roi, ...]
    left_out: Mapping[int, str]

    @property
    def rank(self) -> tuple[int, int, str]:
        """The stronger claim is the greater."""
        return self.level, self.structures.approval, self.structures.written

    @property
    def notes(self) -> list[str]:
        """What a reader should know of the set, in words."""
        notes = list(self.structures.notes)
        notes += [POSITIONS_DECIDE] * (self.level == BY_POSITIONS)
        elsewhere = self.structures.images or self.structures.series
        notes += [FRAME_DECIDES] * (self.level == BY_FRAME and bool(elsewhere))
        notes += [REJECTED] * (self.structures.approval == 0)
        for why in dict.fromkeys(self.left_out.values()):
            rois = [roi for roi in self.structures.rois if self.left_out.get(roi.number) == why]
            names = [roi.name for roi in rois]
            notes.append(f"{some(len(names), f'ROIs {why} left out')}: {listed(names)}")
        return notes


@dataclass(frozen=True)
class Refused:
    """A structure set that is drawn on nothing; `structures` is None where it cannot be read."""

    header: Header
    structures: StructureSet | None
    reason: str


@dataclass(frozen=True)
class Chosen:
    """The wanted structures of a patient.

    Attributes:
        series: what they are drawn on.
        rois: each structure's region, and the set that it is of.
        notes: in words.
        labels: names of the contoured regions of all sets on the series.
    """

    series: Series
    rois: Mapping[str, tuple[Roi, Claim]]
    notes: tuple[str, ...]
    labels: tuple[str, ...]


def judge(
    header: Header, stacks: Sequence[Opened], images: Images, trust: bool = False
) -> Claim | Refused:
    """The series of a structure set, or why it has none.

    Args:
        stacks: all series of its patient, usable or not.
        images: every image file of the folder.
        trust: frames of reference that differ contradict nothing (`data.dicom.trust_positions`).
    """
    structures = None
    try:
        structures = read_set(header)
        level, series = _series(header, structures, stacks, images, trust)
        left_out = _left_out(structures, series, images, trust)
        rois = tuple(roi for roi in structures.rois if roi.number not in left_out)
        return Claim(header, structures, series, level, rois, left_out)
    except DataError as error:
        return Refused(header, structures, str(error))


def _series(
    header: Header,
    structures: StructureSet,
    stacks: Sequence[Opened],
    images: Images,
    trust: bool,
) -> tuple[int, Series]:
    level, named = _named(header, structures, stacks, images)
    agreeing = [series for series in named if trust or not _contradicts(structures, series)]
    if named and not agreeing:
        raise DataError(
            "a structure set must lie in the frame of reference of its CT series, but it names "
            "another one; if its positions are right nonetheless, set data.dicom.trust_positions"
        )
    if not agreeing:
        raise DataError(NOTHING_TO_DRAW_ON)
    within = BESIDE if level == BY_IMAGES else ON_SLICE
    least = {BY_IMAGES: SOME, BY_POSITIONS: 1.0}.get(level, LEAST_SHARE)
    shares = [(_share(structures, series, within), series) for series in agreeing]
    most = max(share for share, _ in shares)
    if most < least:
        raise DataError(
            f"{'all contours' if level == BY_POSITIONS else 'contours'} of a structure set must "
            f"lie on the slices of its CT series, but of {len(named)} series that it may belong to "
            f"none has more than {100 * most:.0f} % of them within {within:.1f} slice; export the "
            "set again with the images that it was drawn on"
        )
    fitting = [series for share, series in shares if share > most - 1e-6]
    if len(fitting) > 1:
        files = [min(header.number for header in one.headers) for one in fitting]
        raise DataError(
            "a structure set must fit one CT series, but it names none of them alone and "
            f"{len(fitting)} series have slices where its contours lie (with "
            f"{files_listed(files)}); name one by data.dicom.series, leave the others out, or "
            "export each as a series of its own"
        )
    return level, fitting[0]


def _named(
    header: Header, structures: StructureSet, stacks: Sequence[Opened], images: Images
) -> tuple[int, list[Series]]:
    """What the set names, and the series that may be meant.

    Raises:
        DataError: it names images or a series of the folder that are not used.
    """
    usable = [series for _, series, _ in stacks if series]
    own = [roi.images for roi in structures.rois if roi.contours]
    by_contours = frozenset[str]().union(*own) if all(own) else frozenset[str]()
    for names in (by_contours, structures.images):
        named = _ct_first([series for series in usable if names & series.images])
        if named:
            shares = [len(names & series.images) / len(series.images) for series in named]
            pairs = zip(shares, named, strict=True)
            return BY_IMAGES, [series for share, series in pairs if share == max(shares)]
        _check_used(header, names, images.by_image, stacks)
    named = [series for series in usable if series.uid in structures.series]
    if named:
        return BY_SERIES, _ct_first(named)
    _check_used(header, structures.series, images.by_series, stacks)
    framed = [series for series in usable if series.frame in structures.frames - {""}]
    return (BY_FRAME, _ct_first(framed)) if framed else (BY_POSITIONS, _ct_first(usable))


def _ct_first(series: Sequence[Series]) -> list[Series]:
    return [entry for entry in series if entry.headers[0].kind == "ct"] or list(series)


def _check_used(
    header: Header, names: Iterable[str], known: Mapping[str, Header], stacks: Sequence[Opened]
) -> None:
    """Raises DataError with the reason where what the set names is in the folder."""
    named = next((known[name] for name in sorted(names) if name in known), None)
    if named is None:
        return
    if named.kind and named.patient != header.patient:
        raise DataError(
            "a structure set must have the patient ID of the images that it names, but theirs is "
            f"another (file {named.number}); if they are one person's, correct the ID"
        )
    reasons = (reason for headers, _, reason in stacks if named in headers)
    why = named.reason or next(reasons, "") or "it is an MR slice, not CT"
    raise DataError(
        "a structure set is drawn on the images that it names alone, but those are not used "
        f"(file {named.number}: {why})"
    )


def _contradicts(structures: StructureSet, series: Series) -> bool:
    return bool(series.frame and structures.frames and series.frame not in structures.frames)


def _left_out(
    structures: StructureSet, series: Series, images: Images, trust: bool
) -> dict[int, str]:
    """Contoured regions that do not belong to the series, by number: why.

    Raises:
        DataError: none does, or nothing says which do.
    """
    contoured = [roi for roi in structures.rois if roi.contours]
    frame = series.frame or _frame_of(contoured, series, trust)
    left_out = {}
    for roi in contoured:
        if not trust and roi.frame and frame and roi.frame != frame:
            left_out[roi.number] = "in another frame of reference"
        elif not roi.images & series.images and any(name in images.by_image for name in roi.images):
            left_out[roi.number] = "drawn on other images"
    if contoured and len(left_out) == len(contoured):
        raise DataError(
            "a structure set must have ROIs of its CT series, but all are "
            f"{' or '.join(dict.fromkeys(left_out.values()))}; if their positions are right "
            "nonetheless, set data.dicom.trust_positions"
        )
    return left_out


def _frame_of(rois: Sequence[Roi], series: Series, trust: bool) -> str:
    """Frame of reference of a series that gives none, by the regions that may be drawn on it.

    Raises:
        DataError: they have several, and none is that of all that name its images.
    """
    naming = [roi for roi in rois if roi.images & series.images]
    frames = {roi.frame for roi in naming or rois} - {""}
    if len(frames) > 1 and not trust:
        raise DataError(
            f"ROIs of a structure set must lie in one frame of reference, but these have "
            f"{len(frames)} and the images give none; if all positions are right nonetheless, set "
            "data.dicom.trust_positions"
        )
    return min(frames, default="")


def _share(structures: StructureSet, series: Series, within: float) -> float:
    """Share of all closed contours that lie in the plane of a slice of the series, inside its
    images, no farther from it than that many slices."""
    contours = [contour for roi in structures.rois for contour in roi.contours]
    if not contours:
        return 1.0
    slices, rows, columns = series.planes.shape
    means = np.array([contour.mean(0) for contour in contours])
    level, row, column = series.planes.indices(means).T
    starts = np.cumsum([0, *map(len, contours)])[:-1]
    levels = series.planes.indices(np.concatenate(contours))[:, 0]
    spread = np.maximum.reduceat(levels, starts) - np.minimum.reduceat(levels, starts)
    on = spread <= 2 * PLANAR
    on &= np.abs(level - np.clip(np.round(level), 0, slices - 1)) <= within
    on &= (row >= -0.5) & (row <= rows - 0.5) & (column >= -0.5) & (column <= columns - 0.5)
    return float(on.mean())


def choose(
    stacks: Sequence[Opened],
    judged: Sequence[Claim | Refused],
    structures: Sequence[str],
    patterns: Mapping[str, Sequence[str]],
) -> Chosen:
    """The wanted structures of a patient's sets: on the series that has most of them.

    Args:
        stacks: the patient's CT, usable or not.
        judged: the patient's structure sets.
        structures, patterns: as of `names.match`.

    Raises:
        DataError: none is there, or two sets of equal claim say different things.
    """
    _check_there(stacks, judged)
    unused = [(entry.header, entry.reason) for entry in judged if isinstance(entry, Refused)]
    by_series: dict[int, list[tuple[Claim, Mapping[str, Roi]]]] = {}
    for claim in judged:
        if isinstance(claim, Claim):
            try:
                found = match(claim.rois, structures, patterns)
            except DataError as error:
                unused.append((claim.header, str(error)))
            else:
                by_series.setdefault(id(claim.series), []).append((claim, found))
    if not by_series:
        several = len(judged) > 1
        raise DataError(
            "; ".join(f"file {h.number}: {why}" if several else why for h, why in unused)
        )
    best = max(by_series.values(), key=lambda group: (_strength(group), group[0][0].series.uid))
    rois, notes = _merged(best)
    useless = [reason for _, series, reason in stacks if not series]
    notes += [f"a CT series of {len(stacks)} is not used: {reason}" for reason in useless]
    for group in (group for group in by_series.values() if group is not best):
        equal = _strength(group) == _strength(best)
        why = "it is drawn on another series" + EQUAL_CLAIM * equal
        unused += [(claim.header, why) for claim, _ in group]
    notes += [f"a structure set is not used: file {h.number}: {why}" for h, why in unused]
    for claim in {id(claim): claim for _, claim in rois.values()}.values():
        notes += claim.notes
    series = best[0][0].series
    notes += series.notes
    if series.repeats:
        notes.append(some(series.repeats, "repeated slices of the CT series left out"))
    for name in structures:
        if name not in rois:
            having = next((e.header for e in judged if _holds(e, name, patterns)), None)
            where = f"in file {having.number}, but not used" if having else "not contoured"
            notes.append(f"{name} is {where}")
    return Chosen(series, rois, tuple(dict.fromkeys(notes)), labels([claim for claim, _ in best]))


def _check_there(stacks: Sequence[Opened], judged: Sequence[Claim | Refused]) -> None:
    """Raises DataError without CT slices, a usable series of them, or a structure set."""
    if not stacks or not judged:
        lacking = "structure set" if stacks else "CT slices"
        reasons = {e.reason for e in judged if isinstance(e, Refused)} - {NOTHING_TO_DRAW_ON}
        raise DataError(
            f"a patient must have CT slices and a structure set, but got no {lacking}"
            + "".join(f"; {reason}" for reason in sorted(reasons))
        )
    if not any(series for _, series, _ in stacks):
        raise DataError("; ".join(reason for _, _, reason in stacks))


def held_structures(
    judged: Sequence[Claim | Refused],
    structures: Sequence[str],
    patterns: Mapping[str, Sequence[str]],
) -> list[str]:
    """The wanted structures that any of a patient's sets has contours of, used or not."""
    return [name for name in structures if any(_holds(e, name, patterns) for e in judged)]


def _holds(entry: Claim | Refused, structure: str, patterns: Mapping[str, Sequence[str]]) -> bool:
    rois = entry.structures.rois if entry.structures else ()
    return any(roi.contours and is_named(roi.name, structure, patterns) for roi in rois)


def _strength(group: Sequence[tuple[Claim, Mapping[str, Roi]]]) -> tuple[int, tuple[int, int, str]]:
    """Structures that the sets of a series have together, then the strongest claim."""
    return len({name for _, found in group for name in found}), max(c.rank for c, _ in group)


def labels(judged: Iterable[Claim | Refused]) -> tuple[str, ...]:
    """Names of the contoured regions of all sets that could be read."""
    read = [entry.structures for entry in judged if entry.structures]
    return tuple(roi.name for structures in read for roi in structures.rois if roi.contours)


def _merged(
    group: Sequence[tuple[Claim, Mapping[str, Roi]]],
) -> tuple[dict[str, tuple[Roi, Claim]], list[str]]:
    """Each structure from the set with the strongest claim to it, and what to say of it.

    Raises:
        DataError: two of equal claim have other contours of it.
    """
    rois, notes = {}, []
    for name in dict.fromkeys(name for _, found in group for name in found):
        having = [(found[name], claim) for claim, found in group if name in found]
        having.sort(key=lambda pair: pair[1].rank, reverse=True)
        rois[name] = (roi, claim) = having[0]
        equal = [other for other in having[1:] if other[1].rank == claim.rank]
        for other, by in equal:
            if not _alike(roi, other, claim.series):
                raise DataError(
                    f"one structure set must have {name}, but file {claim.header.number} and file "
                    f"{by.header.number} have different contours of it with equal claim; name one "
                    "by data.dicom.structure_sets"
                )
        if len(having) > 1:
            ranks = zip(claim.rank, having[1][1].rank, strict=True)
            why = next((n for n, (a, b) in enumerate(ranks) if a != b), 3)
            notes.append(
                f"{name}: of {len(having)} structure sets that have it that of file "
                f"{claim.header.number} is used: {_WHY[why]}"
            )
    return rois, notes


def _alike(first: Roi, second: Roi, series: Series) -> bool:
    """Every contour of either is one of the other but for rounding."""
    tolerance = tolerance_mm(series.planes)
    return all(
        any(near_repeat(contour, other, tolerance) for other in others)
        for contours, others in (
            (first.contours, second.contours),
            (second.contours, first.contours),
        )
        for contour in contours
    )
