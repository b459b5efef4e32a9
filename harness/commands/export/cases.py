"""Pairs as cases: a name, whose they are, CT in HU, and one map of labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.pairs.framing import Framing, channel_of, frames, mask_frames
from harness.data.pairs.store import Store

SAFE = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class ExportCase:
    """One pair.

    Attributes:
        name: letters, digits and hyphens, unique in an export.
        patient, digest: pseudonym and content digest; empty for generated pairs.
        structure, slice, mirrored: as a store's index has them.
        ct: (F, F) in [-1, 1].
        masks: (C, F, F), 0 or 1.
    """

    name: str
    patient: str
    digest: str
    structure: str
    slice: int
    mirrored: bool
    ct: NDArray[np.float32]
    masks: NDArray[np.uint8]


def real_cases(store: Store, role: str) -> Iterator[ExportCase]:
    """Every pair of the patients of a role, train or validation, in the store's order."""
    names = _patient_names(store)
    for place in store.select(role=role):
        row = store.rows[place]
        name = _case_name(names[row.patient_digest], row.structure, row.slice)
        yield _stored(store, place, name)


def generated_cases(store: Store, name: str) -> Iterator[ExportCase]:
    """Every pair of a store without patients, called `name` and its number."""
    for place in range(len(store.rows)):
        yield _stored(store, place, f"{name}-{place:05d}")


def _stored(store: Store, place: int, name: str) -> ExportCase:
    row = store.rows[place]
    return ExportCase(
        name,
        row.patient,
        row.patient_digest,
        row.structure,
        row.slice,
        row.mirrored,
        store.ct[place, 0],
        store.masks[place],
    )


def scan_cases(store: Store, role: str) -> Iterator[ExportCase]:
    """Pairs cut from kept scans, test or validation: every slice of each structure's placed range.

    Validation pairs of the store are the same ones.
    """
    names, framing = _patient_names(store), Framing.of(store.meta)
    for record in store.scans(role):
        scan = record.load()
        for structure, mask in scan.masks.items():
            channel, mirrored = channel_of(structure, store.meta["mirror"])
            placed = scan.placements[structure]
            ct = frames(scan.hu, scan.affine, placed, framing, mirrored)
            placed_masks = mask_frames(mask, scan.affine, placed, framing, mirrored)
            first, last = placed.slices
            for index in range(first, last + 1):
                masks = np.zeros((len(store.channels), *placed_masks.shape[1:]), np.uint8)
                masks[store.channels.index(channel)] = placed_masks[index]
                yield ExportCase(
                    _case_name(names[record.digest], structure, index),
                    record.patient,
                    record.digest,
                    structure,
                    index,
                    mirrored,
                    ct[index],
                    masks,
                )


def in_hu(ct: NDArray[np.floating], window_hu: tuple[float, float]) -> NDArray[np.float32]:
    """CT in [-1, 1] as HU within the window that it was cut with."""
    low, high = window_hu
    return ((np.asarray(ct, np.float64) + 1) / 2 * (high - low) + low).astype(np.float32)


def label_map(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels (F, F): 0 outside, k in channel k - 1, the lower one where channels overlap."""
    labels = np.zeros(masks.shape[1:], np.uint8)
    for channel in reversed(range(len(masks))):
        labels[masks[channel] > 0] = channel + 1
    return labels


def safe_name(text: str) -> str:
    """Letters, digits and hyphens of a text."""
    return SAFE.sub("-", text).strip("-")


def _case_name(patient: str, structure: str, index: int) -> str:
    return f"{patient}-{safe_name(structure)}-{index:03d}"


def _patient_names(store: Store) -> dict[str, str]:
    """Name of each patient by digest: the pseudonym, with more where two would be the same."""
    people: list[dict[str, Any]] = store.meta["patients"]
    safe = {entry["digest"]: safe_name(entry["patient"]) for entry in people}
    folded = [name.casefold() for name in safe.values()]  # some file systems know no capitals
    return {
        digest: name if name and folded.count(name.casefold()) == 1 else f"{name or 'p'}-{digest}"
        for digest, name in safe.items()
    }
