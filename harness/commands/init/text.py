"""What `harness init` says, on the console and in the comments of the file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from harness.base.text import counted, first_of
from harness.commands.init.look import Looked, shown
from harness.commands.init.proposal import (
    DEFAULT_SPACING_MM,
    LEAST_WIDTH_HU,
    MARGIN_MM,
    STRAY,
    Proposal,
)
from harness.commands.init.targets import SHOWN, Target, offers
from harness.config.data import CropConfig, DataConfig
from harness.data.roles import ROLES
from harness.data.sources.volumes.cases import list_files
from harness.inference.crossed_t import PATIENTS_FOR_VERDICT


def found(looked: Looked, root: Path) -> Iterator[str]:
    """Who is there, and what could be asked of them."""
    names, known = looked.names, offers(looked)
    yield (
        f"{counted(len(looked.people), 'patient')} with CT and contours in '{root}' "
        f"(source: {looked.source})"
    )
    if looked.reasons:
        yield f"{counted(len(looked.reasons), 'patient')} cannot be used ({looked.why})"
    if looked.source == "dicom" and (volumes := len(list_files(root)[0])):
        yield (
            f"{counted(volumes, 'NIfTI, NRRD or MetaImage file')} there cannot be read in the same "
            "experiment; name their folder alone for one of theirs"
        )
    shown_names = [f"'{shown(name)}' ({count})" for name, count in names]
    yield f"names, and how many patients have them: {first_of(shown_names, SHOWN)}"
    yield "structures: " + (
        "; ".join(
            f"{offer.words}: {len(offer.people)} of {counted(len(looked.people), 'patient')}"
            for offer in known
        )
        or "none by a usual name"
    )


def warnings(target: Target, proposal: Proposal) -> Iterator[str]:
    """What will not work."""
    for reason in proposal.excluded:
        yield f"a patient will be excluded: {reason}"
    left = usable(target, proposal)
    if left < len(ROLES):
        yield (
            f"an experiment needs {len(ROLES)} patients or more, one for each role, but "
            f"{left} can be used; prepare will refuse it: name another structure "
            "with --structures, or add patients"
        )
        return
    tested = round(DataConfig().roles.test * left)
    if tested < PATIENTS_FOR_VERDICT:
        yield (
            f"about {tested} of {counted(left, 'patient')} will be test patients "
            f"(data.roles.test); a verdict needs {PATIENTS_FOR_VERDICT}, below that there is an "
            "estimate"
        )


def usable(target: Target, proposal: Proposal) -> int:
    """Patients that `prepare` can take, as far as they were read."""
    return len(target.people) - len(proposal.excluded)


def proposed(proposal: Proposal) -> str:
    """Window and pixels, in a line."""
    low, high = proposal.window_hu
    return (
        f"window {low} to {high} HU, pixels of {proposal.spacing_mm:g} mm: from "
        f"{counted(proposal.patients, 'patient')}; the file says how"
    )


def comments(looked: Looked, target: Target, proposal: Proposal, output: Path) -> dict[str, str]:
    """Of the starter, as of `starter.starter`."""
    return {
        "found": _of_target(looked, target),
        "named": _of_names(target),
        "window": _of_window(proposal),
        "crop": _of_crop(proposal),
        "cost": shlex.join(["harness", "run", str(output), "--dry-run"]),
    }


def _of_target(looked: Looked, target: Target) -> str:
    others = [offer for offer in offers(looked) if offer.structures != target.structures]
    counts = [f"{offer.words} ({len(offer.people)})" for offer in others]
    also = f" Others that are there: {first_of(counts, SHOWN)}." if counts else ""
    return (
        f"{len(target.people)} of {counted(len(looked.people), 'patient')} with CT and contours "
        f"have {'these' if len(target.structures) > 1 else 'it'}.{also}"
    )


def _of_names(target: Target) -> str:
    if target.labels:
        return "values of a label map (data.images.labels)"
    return first_of([f"'{shown(name)}' ({n})" for name, n in target.names.items()], SHOWN)


def _of_window(proposal: Proposal) -> str:
    low, high = (f"{end:.0f}" for end in proposal.inside)
    return (
        f"From the CT of {counted(proposal.patients, 'patient')}: the 1st to 99th percentile "
        f"inside the structure, {low} to {high} HU, and half of that width more on either side as "
        f"far as it occurs within {MARGIN_MM:g} mm, at least {LEAST_WIDTH_HU} HU in all. "
        "Everything outside becomes black or white."
    )


def _of_crop(proposal: Proposal) -> str:
    pixels = CropConfig().mask_px
    why = (
        "which the usual pixels hold; finer ones than your scans' add cost, not detail"
        if proposal.spacing_mm == DEFAULT_SPACING_MM
        else "for which pixels are coarser than the usual 1 mm"
    )
    return (
        f"The longest edge of a structure in these patients is {proposal.extent_mm:.0f} mm (all "
        f"but {100 * STRAY:g} % of its voxels at either end); with "
        f"{MARGIN_MM:g} mm on each side it must fit the mask crop of {pixels} pixels, {why}. The "
        "frame of the CT is twice as wide."
    )
