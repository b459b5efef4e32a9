"""The quality page of a session's patients, and the run that shows it in MLflow."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from harness.base.files import digest_of, read_json, read_note, sha256_file, write_record
from harness.commands.session import RESOLVED, Session
from harness.data.dicom.names import is_named
from harness.report.patients import window_words
from harness.report.quality import DATA, PAGE, Patient, QualityData, write_quality
from harness.tracking.run_view import RunView
from harness.work.prepare.patient_index import IndexedPatient

PAGE_VERSION = 4
STAMP = "made-of.json"
RESOLVE = (
    "`private/{source}/files.json` in the work folder, which only its owner can read, says who the "
    "pseudonyms are and which files the numbers name; `private/names.json` has the other names of "
    "ROIs."
)


def write_page(session: Session) -> Path:
    """Write the page, unless it shows these very patients already; returns its path."""
    folder = session.home / "quality"
    patient_index = session.patient_index
    made_of = {
        "version": PAGE_VERSION,
        "roles": sorted(session.roles.items()) if patient_index.usable else [],
        "patients": sorted(Path(patient.file).stem for patient in patient_index.usable),
        "excluded": sorted((entry.patient, entry.reason) for entry in patient_index.excluded),
        "ignored": dict(patient_index.ignored),
        "roi_names": session.experiment.privacy.roi_names,
    }
    stamp = folder / STAMP
    made = {"of": digest_of(made_of)}
    if read_note(stamp) != {**made, "files": _sums(folder)}:
        write_quality(_data(session), folder)
        write_record(stamp, {**made, "files": _sums(folder)})
    session.views["data"] = [_view(folder)]
    return folder / PAGE


def _sums(folder: Path) -> dict[str, str]:
    """Of the page and its data, as they are."""
    paths = [folder / name for name in (PAGE, DATA)]
    return {path.name: sha256_file(path) for path in paths if path.exists()}


def _view(folder: Path) -> RunView:
    return RunView(
        ("data",),
        "patients",
        tags={"kind": "data"},
        note=f"{read_json(folder / DATA)['summary']}. The page `quality/{PAGE}` is an artifact.",
        artifacts=((folder / PAGE, "quality"),),
        status="finished",
    )


def _data(session: Session) -> QualityData:
    config, patient_index = session.experiment.data, session.patient_index
    return QualityData(
        name=session.experiment.name,
        structures=config.structures,
        patients=[_patient(session, patient) for patient in patient_index.usable],
        excluded={entry.patient: entry.reason for entry in patient_index.excluded},
        window=window_words(config.window_hu),
        labels=_labels(session),
        ignored=dict(Counter(patient_index.ignored).most_common()),
        resolve=RESOLVE.format(source=config.source) if config.source in RESOLVED else "",
    )


def _patient(session: Session, patient: IndexedPatient) -> Patient:
    structures = patient.landmarks["structures"]
    return Patient(
        name=patient.patient,
        role=session.roles.get(patient.digest, "not used"),
        scan_summary=patient.scan_summary,
        columns={name: structure["centroid"][2] for name, structure in structures.items()},
        notes=patient.notes,
        picture=patient.picture,
    )


def _labels(session: Session) -> dict[str, tuple[int, str]]:
    """Names of regions: how many patients have them, and which structure they are; wanted ones
    first, then the commonest."""
    config, patient_index = session.experiment.data, session.patient_index
    names = [patient.scan_summary.labels for patient in patient_index.usable]
    names += [entry.labels for entry in patient_index.excluded]
    counts = Counter(name for listed in names for name in set(listed))

    def structure_of(called: str) -> str:
        name = session.names.reveal(called)
        found = (s for s in config.structures if is_named(name, s, config.patterns))
        return next(found, "")

    listed = [(name, (count, structure_of(name))) for name, count in counts.items()]
    listed.sort(key=lambda entry: (not entry[1][1], entry[1][1], -entry[1][0], entry[0]))
    return dict(listed)
