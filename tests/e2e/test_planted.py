"""Names, identifiers and paths of patients stay in the private folder: of a whole run, with
failures on the way, and of what every command says.

Names of ROIs are the one exception: `prepare` lists them, since only they say what to change in
`data.patterns`.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from data.planted_material import PLANTED, PLANTED_NUMBER, SECRETS, UIDS, plant, raw
from pydicom.dataset import Dataset

from harness.config.data import PhantomConfig
from harness.data.sources.phantom import write_phantoms

pytestmark = pytest.mark.timeout(900)

PATIENTS = 12
BROKEN = ("cut off", "no pixels", "no set", "two of a name")
EXPERIMENT = """\
name: planted
conclusive: false
data:
  source: dicom
  root: ROOT
  roles: {validation: 0.25, test: 0.25}
  spacing_mm: 3.0
  crop: {frame_px: 64, mask_px: 64}
mask: {width: 4, batch_size: 8, schedule: {epochs: 2}}
image: {width: 4, batch_size: 8, schedule: {epochs: 1}}
synthesis: {pairs: 8, attempts: 64}
segmentation:
  channels: [4, 8]
  residual_units: 0
  batch_size: 4
  updates: 4
  updates_per_epoch: 2
arms: [traditional, traditional+gan, gan]
replicates: {count: 2}
metrics: {images: 16, scored_epochs: 1}
sweep:
  segmentation: null
  seeds: 1
  wave: 1
  mask: {trials: 1, space: {batch_size: {values: [8]}}}
  image: null
tracking: {pictures: 1}
"""


def planted(root: Path) -> Path:
    """Phantoms under the names of people, in folders and files that say so; some are broken."""
    made = write_phantoms(
        root / "made", PhantomConfig(patients=PATIENTS, slices=12, spacing_mm=(4, 3, 3))
    )
    home = root / f"{PLANTED} clinic"
    for number, patient in enumerate(sorted(made.iterdir())):
        for index, file in enumerate(sorted(patient.rglob("*.dcm"))):
            dataset = pydicom.dcmread(file)
            uids = {k: str(dataset[k].value) for k in ("StudyInstanceUID", "SeriesInstanceUID")}
            kept = {k: dataset[k] for k in GEOMETRY if k in dataset}
            plant(dataset, f"{PLANTED_NUMBER}{number}")
            for keyword, element in kept.items():
                dataset[keyword] = element
            for keyword, value in uids.items():
                raw(dataset, keyword, "UI", f"{UIDS}.{value[-20:]}")
            private = dataset.private_block(0x0011, PLANTED, create=True)
            private.add_new(0x01, "LO", f"{PLANTED} {PLANTED_NUMBER}")
            if number < len(BROKEN):
                dataset = spoilt(dataset, BROKEN[number])
            place = home / f"{PLANTED}_{PLANTED_NUMBER}{number}" / f"{PLANTED}-{index}.dcm"
            place.parent.mkdir(parents=True, exist_ok=True)
            if dataset is not None:
                dataset.save_as(place)
        if number == BROKEN.index("cut off"):
            place.write_bytes(place.read_bytes()[:900])
    (home / f"letter to {PLANTED}.txt").write_text(PLANTED)
    return home


GEOMETRY = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "RescaleSlope", "RescaleIntercept", "Rows", "Columns", "PixelRepresentation",
)  # fmt: skip


def spoilt(dataset: Dataset, how: str) -> Dataset | None:
    structures = dataset.Modality == "RTSTRUCT"
    if how == "no pixels" and not structures and dataset.InstanceNumber == 3:
        dataset.PixelData = dataset.PixelData[:50]
    if how == "no set" and structures:
        return None
    if how == "two of a name" and structures:
        for roi in dataset.StructureSetROISequence[:2]:
            roi.ROIName = "Parotid_L"
    return dataset


class Said:
    """Commands typed in a folder, and everything that they printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts: list[str] = []

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=280,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )
        assert done.returncode == code, done.stderr[-3000:]
        self.texts += [done.stdout, done.stderr]
        return done.stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """A run from beginning to end; its experiment is read from elsewhere, for it names the data."""
    base = tmp_path_factory.mktemp("planted")
    home = planted(base)
    experiment = base / "question.yaml"
    experiment.write_text(EXPERIMENT.replace("ROOT", json.dumps(str(home))))
    (base / "work").mkdir()
    typed = Said(base / "work")
    typed("prepare", str(experiment), "--json")
    typed("prepare", str(experiment), "-s", "data.structures=[larynx]", "--workdir", "no", code=2)
    typed("run", str(experiment), "--json")
    typed("run", str(experiment), "-s", "mask.optimiser.learning_rate=1e30", "-s", "name=fails",
          "-s", "replicates.count=2", "-q", code=3)  # fmt: skip
    typed("report", str(experiment))
    return typed


def test_every_failure_was_met(said: Said) -> None:
    prepared = json.loads(said.texts[0])
    reasons = " ".join(entry["reason"] for entry in prepared["excluded"])
    assert len(prepared["excluded"]) == len(BROKEN)
    for words in ("pixels of every slice", "no structure set", "but got 'Parotid_L'"):
        assert words in reasons


def test_nothing_that_was_printed_says_who_it_was(said: Said) -> None:
    secrets = (*SECRETS, UIDS)
    for text in said.texts:
        lines = [line for line in text.splitlines() if not line.startswith("next: ")]
        assert not [(s, line) for line in lines for s in secrets if s in line]


def test_nothing_that_was_written_says_who_it_was(said: Said) -> None:
    secrets = [secret.encode() for secret in (*SECRETS, UIDS, f"{PLANTED} clinic")]
    looked_at = 0
    for path in said.folder.rglob("*"):
        if not path.is_file():
            continue
        if "private" in path.relative_to(said.folder).parts:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            continue
        content = path.read_bytes()
        looked_at += 1
        assert not [s for s in secrets if s in content], path
        assert not [s for s in secrets if s.decode() in str(path.relative_to(said.folder))], path
    assert looked_at > 100
    names = {path.name for path in said.folder.rglob("*")}
    assert {"mlflow.db", "index.html", "report.json", "scores.csv", "quality.json"} <= names


def test_the_plants_are_there_to_be_found(said: Said) -> None:
    private = said.folder / "harness-work" / "private" / "dicom"
    assert PLANTED in (private / "files.json").read_text()
