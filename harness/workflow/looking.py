"""Looking at source patients: content digest, notes and landmarks, once per unchanged patient.

A look reads and decodes one patient. What it found is kept in `looks/`, keyed by the files' sizes
and modification times and by what was asked of them, so that looking again costs nothing. A
look keeps no path and no identifier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.files import digest_of, read_json, write_json
from harness.config.data import DataConfig
from harness.data.scan import Excluded, Reference, Source

LOOK_VERSION = 2


@dataclass(frozen=True)
class Look:
    """What is known of a usable patient without its voxels.

    Attributes:
        landmarks: plain part of its landmarks; the coarse volume lies in `volume`.
        file: where the look is kept.
    """

    patient: str
    digest: str
    role: str | None
    notes: tuple[str, ...]
    structures: tuple[str, ...]
    landmarks: dict[str, Any]
    file: str = ""

    @classmethod
    def open(cls, path: Path) -> Look:
        """The look kept at `path`."""
        kept = read_json(path)
        kept |= {"notes": tuple(kept["notes"]), "structures": tuple(kept["structures"])}
        return cls(**kept, file=str(path))


@dataclass(frozen=True)
class Looks:
    """All patients of a source: usable ones, and excluded ones with reasons."""

    usable: tuple[Look, ...]
    excluded: tuple[Excluded, ...]


def look_at(
    source: Source, config: DataConfig, root: Path, progress: Callable[[int, int], None]
) -> Looks:
    """Look at every patient of the source; `progress(done, of)` after each."""
    usable, excluded = [], []
    seen: dict[str, str] = {}
    references = source.patients()
    for index, reference in enumerate(references):
        found = _look(source, reference, config, root / "looks")
        if isinstance(found, Look) and found.digest in seen:
            # One patient under two names could train and test at once.
            excluded.append(
                Excluded(
                    found.patient,
                    f"it holds the same scan with the same contours as {seen[found.digest]}, which "
                    "is kept",
                )
            )
        elif isinstance(found, Look):
            seen[found.digest] = found.patient
            usable.append(found)
        else:
            excluded.append(found)
        progress(index + 1, len(references))
    return Looks(tuple(usable), tuple(excluded))


def _look(
    source: Source, reference: Reference, config: DataConfig, folder: Path
) -> Look | Excluded:
    from harness.data.body import landmarks

    asked = {
        "version": LOOK_VERSION,
        "source": config.source,
        "patient": reference.patient,
        "signature": reference.signature,
        "structures": list(config.structures),
        "patterns": {name: list(p) for name, p in config.patterns.items()},
    }
    path = folder / f"{digest_of(asked)}.json"
    if not path.exists():
        scan = source.read(reference)
        if isinstance(scan, Excluded):
            write_json(path, {"patient": scan.patient, "reason": scan.reason})
        else:
            write_json(
                path,
                {
                    "patient": scan.patient,
                    "digest": scan.content_digest(),
                    "role": scan.role,
                    "notes": list(scan.notes),
                    "structures": sorted(scan.masks),
                    "landmarks": landmarks(scan).write(path.with_suffix(".npy")),
                },
            )
    kept = read_json(path)
    if "reason" in kept:
        return Excluded(kept["patient"], kept["reason"])
    return Look.open(path)
