"""The patients of a source: content digest, notes, landmarks and summary of each.

Indexing reads and decodes a patient, the only time this is done: its scan is kept until its pairs
are cut (`kept_scan`). Its entry in `patient-index/` is keyed by the files' sizes and modification
times and by what was asked of them, so that indexing again costs nothing. An entry has no path, no
identifier and, of the user's own patients, no name of a region but usual ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.base import damage
from harness.base.errors import Damaged, DataError
from harness.base.files import (
    check_sum,
    digest_of,
    read_note,
    read_record,
    sha256_file,
    write_record,
)
from harness.base.text import meant
from harness.config.data import DataConfig
from harness.data.dicom.other_names import OtherNames
from harness.data.quality.scan_summary import ScanSummary, scan_summary
from harness.data.scan import Excluded, Reference, Scan, Source
from harness.work.prepare.kept_scan import keep_scan
from harness.work.prepare.parallel import read_each
from harness.work.prepare.sources import has_own_patients, other_names, read_patient

INDEX_VERSION = 8


@dataclass(frozen=True)
class IndexedPatient:
    """What is known of a usable patient without its voxels.

    Attributes:
        landmarks: its landmarks but for the coarse volume, which lies beside the file.
        scan_summary: what a person must know of the scan; its picture lies beside the file.
        structures: that are contoured; none of a patient of `data.without_structures`.
        ct: digest of the CT alone.
        file: the entry, JSON.
    """

    patient: str
    digest: str
    role: str | None
    notes: tuple[str, ...]
    structures: tuple[str, ...]
    landmarks: dict[str, Any]
    scan_summary: ScanSummary
    ct: str
    file: str = ""

    @property
    def picture(self) -> Path:
        """Three slices with the contours, PNG."""
        return Path(self.file).with_suffix(".png")

    @classmethod
    def open(cls, path: Path) -> IndexedPatient:
        """The entry at `path`."""
        kept = read_record(path)
        kept |= {"notes": tuple(kept["notes"]), "structures": tuple(kept["structures"])}
        kept["scan_summary"] = ScanSummary.of(kept["scan_summary"])
        del kept["kept"], kept["files"]
        return cls(**kept, file=str(path))


@dataclass(frozen=True)
class PatientIndex:
    """All patients of a source: usable ones, and excluded ones with reasons; files that the source
    does not use, counted by reason."""

    usable: tuple[IndexedPatient, ...]
    excluded: tuple[Excluded, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def with_structures(self) -> tuple[IndexedPatient, ...]:
        """Those among whom roles are dealt."""
        return tuple(patient for patient in self.usable if patient.structures)

    def revealed(self, reveal: Callable[[str], str]) -> PatientIndex:
        """The same with names of regions as they were written."""

        def each(texts: Sequence[str]) -> tuple[str, ...]:
            return tuple(map(reveal, texts))

        usable = tuple(
            replace(
                p,
                notes=each(p.notes),
                scan_summary=replace(p.scan_summary, labels=each(p.scan_summary.labels)),
            )
            for p in self.usable
        )
        excluded = (Excluded(p.patient, reveal(p.reason), each(p.labels)) for p in self.excluded)
        return replace(self, usable=usable, excluded=tuple(excluded))


def index_patients(
    source: Source,
    config: DataConfig,
    root: Path,
    progress: Callable[[int, int], None],
    readers: int = 1,
    record: Path | None = None,
) -> PatientIndex:
    """Index every patient of the source.

    Args:
        progress: called with patients done, and how many there are, after each.
        readers: processes that read side by side.
        record: where to note whose entries they are, for `recorded_index`.

    Raises:
        DataError: a patient is to be left out that the source has not.
    """
    references = source.patients()
    patients = [reference.patient for reference in references]
    _must_be_known("exclude", config.exclude, patients)
    _must_be_known("without_structures", config.without_structures, patients)
    paths = [_path(reference, config, root / "patient-index") for reference in references]
    new = [
        (r, path, config, root)
        for r, path in zip(references, paths, strict=True)
        if not _is_sound(path)
    ]
    done = len(references) - len(new)
    for count, _ in enumerate(read_each(_index, new, source, readers), done + 1):
        progress(count, len(references))
    # Only sources that look at every file know those that they do not use.
    ignored = Counter(reason for _, reason in getattr(source, "ignored", tuple)())
    found = {
        "entries": [path.name for path in paths],
        "ignored": dict(ignored),
        "exclude": config.exclude,
    }
    if record is not None and read_note(record) != found:
        write_record(record, found)
    return _sorted(paths, found)


def _must_be_known(setting: str, names: Iterable[str], patients: Sequence[str]) -> None:
    for name in names:
        if name not in patients:
            hint = meant(name, patients, "; harness prepare lists them")
            raise DataError(
                f"data.{setting} must name patients of the source, but got '{name}'{hint}"
            )


def recorded_index(record: Path, root: Path) -> PatientIndex | None:
    """What `index_patients` found last, without a look at the source; None where nobody did, or
    its entries are gone."""
    if (found := read_note(record)) is None:
        return None
    paths = [root / "patient-index" / name for name in found["entries"]]
    return _sorted(paths, found) if all(map(_is_sound, paths)) else None


def _is_sound(path: Path) -> bool:
    """Whether an entry and what lies beside it are there and as they were written."""
    if (kept := read_note(path)) is None:
        return False
    try:
        for suffix, recorded in kept.get("files", {}).items():
            check_sum(path.with_suffix(suffix), recorded)
    except Damaged as damaged:
        damage.note(damaged)
        return False
    return True


def _sorted(paths: Sequence[Path], found: Mapping[str, Any]) -> PatientIndex:
    usable, excluded = list[IndexedPatient](), list[Excluded]()
    left_out: Mapping[str, str] = found.get("exclude", {})
    for path in paths:
        patient = _open(path)
        if patient.patient in left_out:
            labels = patient.scan_summary.labels if isinstance(patient, IndexedPatient) else ()
            excluded.append(Excluded(patient.patient, left_out[patient.patient], labels))
        elif isinstance(patient, IndexedPatient):
            usable.append(patient)
        else:
            excluded.append(patient)
    # One patient under two names could train and test at once: of each CT the first is kept, who
    # has the structures if anybody does.
    kept: dict[str, IndexedPatient] = {}
    for patient in sorted(usable, key=lambda each: not each.structures):
        kept.setdefault(patient.ct, patient)
    twins = [patient for patient in usable if kept[patient.ct] is not patient]
    excluded += [_twin(patient, kept[patient.ct]) for patient in twins]
    alone = tuple(patient for patient in usable if kept[patient.ct] is patient)
    return PatientIndex(alone, tuple(excluded), found["ignored"])


def _twin(patient: IndexedPatient, kept: IndexedPatient) -> Excluded:
    """A patient left out because another, who is kept, has the same CT."""
    if patient.digest == kept.digest:
        reason = f"it holds the same scan with the same contours as {kept.patient}, which is kept"
    else:
        reason = (
            f"it holds the same CT as {kept.patient}, which is kept, with other contours: one "
            "person would train and test"
        )
    return Excluded(patient.patient, reason, patient.scan_summary.labels)


def _path(reference: Reference, config: DataConfig, folder: Path) -> Path:
    asked = {
        "version": INDEX_VERSION,
        "source": config.source,
        "patient": reference.patient,
        "signature": reference.signature,
        "structures": list(config.structures),
        "patterns": {name: list(p) for name, p in config.patterns.items()},
        "dicom": config.dicom.model_dump(mode="json"),
        "images": config.images.model_dump(mode="json"),
        "window_hu": list(config.window_hu),  # of the picture
    }
    if reference.patient in config.without_structures:
        asked["without structures"] = True
    return folder / f"{digest_of(asked)}.json"


def _index(source: Source, asked: tuple[Reference, Path, DataConfig, Path]) -> None:
    """Read one patient and enter it; the entry appears last."""
    from harness.data.pairs.landmarks import landmarks
    from harness.figures.scan_pictures import draw_scan, write_scan_picture

    reference, path, config, root = asked
    scan = read_patient(source, reference, config)
    if has_own_patients(config):
        scan = _hidden(scan, other_names(config, root))
    if isinstance(scan, Excluded):
        kept = {"patient": scan.patient, "reason": scan.reason, "labels": list(scan.labels)}
        write_record(path, kept)
        return
    write_scan_picture(
        path.with_suffix(".png"), draw_scan(scan, config.structures, config.window_hu)
    )
    marks = landmarks(scan).write(path.with_suffix(".npy"))
    write_record(
        path,
        {
            "files": {end: sha256_file(path.with_suffix(end)) for end in (".npy", ".png")},
            "patient": scan.patient,
            "digest": scan.content_digest(),
            "ct": scan.ct_digest(),
            "role": scan.role,
            "notes": list(scan.notes),
            "structures": sorted(name for name, mask in scan.masks.items() if mask.any()),
            "landmarks": marks,
            "scan_summary": scan_summary(scan).to_dict(),
            "kept": keep_scan(path, scan),
        },
    )


def _hidden(scan: Scan | Excluded, names: OtherNames) -> Scan | Excluded:
    """The same without names of regions that could say who somebody is."""
    texts = (scan.reason,) if isinstance(scan, Excluded) else scan.notes
    labels, texts = map(tuple, names.hide(scan.labels, texts))
    if isinstance(scan, Excluded):
        return Excluded(scan.patient, texts[0], labels)
    return replace(scan, notes=texts, labels=labels)


def _open(path: Path) -> IndexedPatient | Excluded:
    kept = read_record(path)
    if "reason" in kept:
        return Excluded(kept["patient"], kept["reason"], tuple(kept["labels"]))
    return IndexedPatient.open(path)
