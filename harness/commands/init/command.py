"""Look into a folder of patients and write a commented experiment that suits it."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.base.console import Console
from harness.base.errors import ConfigError
from harness.base.files import write_json, write_text
from harness.base.text import counted, first_of
from harness.commands.compute import resolve_here
from harness.commands.init.look import Looked, look, named, shown
from harness.commands.init.proposal import (
    DEFAULT_SPACING_MM,
    LEAST_WIDTH_HU,
    MARGIN_MM,
    Proposal,
    propose,
)
from harness.commands.init.targets import SHOWN, Target, choose_target, offers
from harness.commands.output_folder import unwritable
from harness.config.data import CropConfig, DataConfig
from harness.config.json_schema import json_schema
from harness.config.load import parse_experiment
from harness.config.starter import Sizes, starter
from harness.config.yaml_text import write_yaml


def write_starter(
    root: Path,
    output: Path,
    name: str,
    structures: str | None = None,
    schema: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Survey a folder and write the experiment; an existing file is never overwritten.

    Args:
        root: of DICOM or volume files.
        structures: as of `choose_target`.
        schema: write the JSON schema of experiments beside it, for editors.

    Returns:
        Plain data: what was found, offered and chosen.

    Raises:
        ConfigError: the file exists or cannot be written, or `name` or `structures` is wrong.
        DataError: nobody in the folder has CT and contours, or nobody has the structures.
    """
    console, root = console or Console(quiet=True), root.expanduser().resolve()
    beside = output.with_name(f"{output.stem}.schema.json") if schema else None
    for path in (output, beside):
        if path is not None and path.exists():
            raise ConfigError(f"'{path}' exists already; name another file with --output")
    parse_experiment(write_yaml({"name": name}), "the new experiment")
    with tempfile.TemporaryDirectory() as work:
        looked = look(root, Path(work, "private"), console)
        for line in _found(looked, root):
            console.say(line)
        target = choose_target(looked, structures)
        console.say(f"chosen: {target.words} (others with --structures NAME or LEFT,RIGHT)")
        data = DataConfig(
            source=looked.source,
            root=str(root),
            structures=target.structures,
            patterns=dict(target.patterns),
        )
        proposal = propose(data, target, Path(work), console)
    for reason in proposal.excluded:
        console.warn(f"a patient will be excluded: {named(reason, looked.files)}")
    for line in _proposed(proposal):
        console.say(line)
    words = {
        "found": _of_target(looked, target),
        "named": _of_names(target),
        "window": _of_window(proposal),
        "crop": _of_crop(proposal),
        "cost": shlex.join(["harness", "sweep", str(output), "--dry-run", "-s", "sweep={}"]),
    }
    settings = data.model_copy(
        update={"window_hu": proposal.window_hu, "spacing_mm": proposal.spacing_mm}
    )
    text = starter(name, settings, words, _here(), beside.name if beside else None)
    try:
        write_text(output, text)
        if beside is not None:
            write_json(beside, json_schema())
    except OSError as error:
        raise unwritable("--output", "a file that can be written", output, error) from error
    return {
        "experiment": str(output),
        "source": looked.source,
        "patients": len(looked.people),
        "unusable": list(looked.reasons),
        "names": dict(looked.names),
        "offers": {offer.words: len(offer.people) for offer in offers(looked)},
        "structures": list(target.structures),
        "window_hu": list(proposal.window_hu),
        "spacing_mm": proposal.spacing_mm,
    }


def _found(looked: Looked, root: Path) -> Iterator[str]:
    names, known = looked.names, offers(looked)
    yield f"{counted(len(looked.people), 'patient')} with CT and contours in '{root}'"
    if looked.unusable:
        yield looked.unusable
    shown_names = [f"'{shown(name)}' ({count})" for name, count in names]
    yield f"names, and how many patients have them: {first_of(shown_names, SHOWN)}"
    yield "structures: " + (
        "; ".join(
            f"{offer.words}: {len(offer.people)} of {counted(len(looked.people), 'patient')}"
            for offer in known
        )
        or "none by a usual name"
    )


def _proposed(proposal: Proposal) -> Iterator[str]:
    low, high = proposal.window_hu
    yield (
        f"window {low} to {high} HU, pixels of {proposal.spacing_mm:g} mm: from "
        f"{counted(proposal.patients, 'patient')}; the file says how"
    )


def _of_target(looked: Looked, target: Target) -> str:
    others = [offer for offer in offers(looked) if offer.structures != target.structures]
    counts = [f"{offer.words} ({len(offer.people)})" for offer in others]
    also = f" Others that are there: {first_of(counts, SHOWN)}." if counts else ""
    return (
        f"{len(target.people)} of {counted(len(looked.people), 'patient')} with CT and contours "
        f"have {'these' if len(target.structures) > 1 else 'it'}.{also}"
    )


def _of_names(target: Target) -> str:
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
        f"The longest edge of a structure in these patients is {proposal.extent_mm:.0f} mm; with "
        f"{MARGIN_MM:g} mm on each side it must fit the mask crop of {pixels} pixels, {why}. The "
        "frame of the CT is twice as wide."
    )


def _here() -> Sizes:
    return Sizes.of(os.cpu_count() or 1, resolve_here()["device"] == "cuda")
