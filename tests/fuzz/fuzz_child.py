"""Breaks patients one after another and reads them; one line of JSON about each on stdout.

    python fuzz_child.py SEED FIRST COUNT FOLDER REAL

`REAL` is a folder of real patients, or "-". A mutation that takes too long ends the process with
the place where it hangs; memory beyond a limit is refused to the reader.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from dicom_mutations import HARMLESS, LOSSY, mutate
from dicom_patients import Patient, parsed, patients
from numpy.random import Generator

from harness.base.errors import DataError
from harness.config.data import DicomConfig
from harness.data.dicom.people import folder_files
from harness.data.dicom.survey import survey
from harness.data.scan import Excluded, Scan
from harness.data.sources.dicom import DicomFolder

SECONDS = 20  # of computing, for one mutation
HANGS = 90  # seconds by the clock, after which a process is stopped wherever it is
ROOM = 3 * 2**30  # bytes beyond what the process has when it starts
LONGEST = 1000  # letters of a sentence
Masks = dict[str, np.ndarray]


def _peak() -> int:
    """Most bytes that this process held; `ru_maxrss` would begin with those of who started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main(seed: int, first: int, count: int, folder: Path, real: Path | None) -> None:
    everyone = patients(folder, real)
    intact = {patient.folder: _read(patient, folder, [])[0] for patient in everyone}
    for patient in everyone:
        assert intact[patient.folder] or not patient.slices, "an intact patient must have masks"
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    weights = np.array([8, 3, *[1] * (len(everyone) - 2)], float)
    for number in range(first, first + count):
        random = np.random.default_rng([seed, number])
        patient = everyone[random.choice(len(everyone), p=weights / weights.sum())]
        faulthandler.dump_traceback_later(HANGS, exit=True)
        line = _one(random, patient, folder, intact[patient.folder])
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps({"number": number, **line}), flush=True)


def _one(random: Generator, patient: Patient, folder: Path, intact: Masks) -> dict[str, Any]:
    """Break one file, read the patient, mend the file."""
    files = patient.sets if patient.sets and random.random() < 0.6 else patient.slices
    path = (files or patient.sets)[random.integers(len(files or patient.sets))]
    content = path.read_bytes()
    name, broken = mutate(random, content, *parsed(path))
    began = time.process_time()
    faults: list[str] = []
    sentences: list[str] = []
    masks: Masks = {}
    path.write_bytes(broken)
    try:
        masks, sentences = _read(patient, folder, faults)
        sentences += _surveyed(patient)
    except Exception:  # noqa: BLE001 - whatever escapes is a fault of the reader
        faults.append(traceback.format_exc()[-3000:])
    finally:
        path.write_bytes(content)
    faults += [f"{flaw}: {s[:300]!r}" for s in sentences for flaw in flaws(s, patient.secrets)]
    bridged = any("apart are brought to" in said for said in sentences)  # a slice is gone, and said
    faults += [] if bridged and name in LOSSY else _wrong(name, masks, intact)
    seconds = round(time.process_time() - began, 2)
    faults += [f"took {seconds} seconds"] if seconds > SECONDS else []
    return {
        "patient": patient.folder.name,
        "file": path.name,
        "mutation": name,
        "masks": len(masks),
        "sentences": sentences[:40],
        "seconds": seconds,
        "peak": _peak(),
        "faults": faults,
    }


def _read(patient: Patient, folder: Path, faults: list[str]) -> tuple[Masks, list[str]]:
    """Masks of everyone found, and all that was said."""
    try:
        source = DicomFolder(patient.folder, list(patient.patterns), patient.patterns, folder / "p")
        references = source.patients()
    except DataError as error:
        return {}, [str(error)]
    masks: Masks = {}
    sentences = [reason for _, reason in source.ignored()]
    for reference in references:
        found = source.read(reference)
        if isinstance(found, Excluded):
            sentences.append(found.reason)
            continue
        sentences += found.notes
        masks |= found.masks
        faults += _misshapen(found)
    return masks, sentences


def _misshapen(scan: Scan) -> list[str]:
    """What every scan must be, whatever it came from."""
    sound = {
        "no mask": bool(scan.masks),
        "an empty mask": all(mask.any() for mask in scan.masks.values()),
        "masks and CT differ in shape": all(m.shape == scan.hu.shape for m in scan.masks.values()),
        "CT is no int16": scan.hu.dtype == np.int16,
        "CT is below air": scan.hu.min() >= -1024,
        "the affine is not finite": bool(np.isfinite(scan.affine).all()),
        "the affine is singular": abs(np.linalg.det(scan.affine)) > 1e-12,
        "labels cannot be printed": all(label.isprintable() for label in scan.labels),
    }
    return [words for words, holds in sound.items() if not holds]


def _surveyed(patient: Patient) -> list[str]:
    headers = folder_files(patient.folder, None, DicomConfig())
    found = survey(headers, list(patient.patterns), patient.patterns)
    said = [words for entry in (*found.series, *found.sets) for words in entry.warnings]
    said += [words for entry in found.sets for roi in entry.rois for words in roi.warnings]
    return said + [header.reason for header in found.ignored]


def flaws(sentence: str, secrets: tuple[str, ...]) -> list[str]:
    """What is wrong with a sentence."""
    small = sentence.lower()
    return [
        *(["says who it is"] if any(word.lower() in small for word in secrets) else []),
        *(["is no printable line"] if not sentence.isprintable() or not sentence.strip() else []),
        *(["is too long"] if len(sentence) > LONGEST else []),
    ]


def _wrong(name: str, masks: Masks, intact: Masks) -> list[str]:
    """Masks that must be those of the intact patient and are not."""
    steps = set(name.split(" + "))
    if steps <= HARMLESS and masks.keys() != intact.keys():
        return [f"{name} changed which structures there are: {sorted(masks)}"]
    if steps <= HARMLESS | LOSSY:
        return [
            f"{name} changed the mask of {structure}"
            for structure, mask in masks.items()
            if structure not in intact or _differ(mask, intact[structure], steps <= HARMLESS)
        ]
    return []


def _differ(mask: np.ndarray, intact: np.ndarray, slices_too: bool) -> bool:
    """Without its first or last slice a series is still one."""
    if mask.shape != intact.shape:
        return slices_too
    return not np.array_equal(mask, intact)


if __name__ == "__main__":
    seed, first, count, folder, real = sys.argv[1:]
    main(int(seed), int(first), int(count), Path(folder), None if real == "-" else Path(real))
