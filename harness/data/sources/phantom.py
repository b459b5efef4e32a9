"""Source `phantom`: procedural patients, written as DICOM once and read back as any DICOM folder.

Phantom `i` of a seed is the same whatever the number of phantoms. Each patient's folder appears
whole or not at all, so an interrupted call leaves only what the next one need not make again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from harness.base import damage
from harness.base.denied import why
from harness.base.errors import Damaged, EnvironmentFault
from harness.base.files import (
    CHANGED,
    digest_of,
    read_note,
    sha256_file,
    sync_folder,
    write_record,
)
from harness.config.data import DataConfig, PhantomConfig
from harness.data.dicom.private import PRIVATE, private_folder
from harness.data.phantom import Order, make_anatomy, write_patient
from harness.data.phantom.anatomy import ANATOMY_VERSION
from harness.data.scan import published
from harness.data.sources.dicom import DicomFolder

PSEUDONYM_KEY = b"phantoms are nobody"
"""Fixed: the same phantom has one pseudonym everywhere, and there is nobody to protect."""


def write_phantoms(folder: Path, config: PhantomConfig) -> Path:
    """Make the phantoms that are not there yet.

    Args:
        folder: private folder of the source; phantoms of one config lie together below it.

    Returns:
        The folder that holds the patients, and nothing else.

    Raises:
        EnvironmentFault: they cannot be written.
    """
    asked = {"anatomy": ANATOMY_VERSION, **config.model_dump(mode="json")}
    patients = folder / "patients" / digest_of(asked)
    try:
        private_folder(folder)
        for index in range(config.patients):
            order = Order(config.seed, index, config.slices, config.spacing_mm)
            final = patients / order.patient_id
            if not _is_whole(final):
                shutil.rmtree(final, ignore_errors=True)
                _write_whole(folder, final, order)
    except OSError as error:
        raise EnvironmentFault(
            f"phantoms must be written to the work folder, but got '{why(error)}'; free space or "
            "choose another work folder"
        ) from error
    return patients


def _write_whole(folder: Path, final: Path, order: Order) -> None:
    """Fill a folder under a temporary name beside the patients, then give it its name."""
    anatomy = make_anatomy(order.seed, order.index, order.slices, order.spacing_mm)
    part = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder))
    try:
        write_patient(part, order, anatomy)
        write_record(_record(final), {"files": _sums(part)})
        for path in part.rglob("*"):
            path.chmod(0o700 if path.is_dir() else PRIVATE)
        private_folder(final.parent)
        try:
            os.rename(part, final)
        except OSError:
            if not final.is_dir():  # else whoever came second keeps what is there
                raise
        else:
            sync_folder(final.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_whole(patient: Path) -> bool:
    """Whether a phantom's files are there, and as they were written."""
    if not patient.is_dir():
        return False
    known = read_note(_record(patient))
    if known is not None and known["files"] != _sums(patient):
        damage.note(Damaged(patient, CHANGED))
        return False
    return known is not None


def _record(patient: Path) -> Path:
    """Where the digests of a phantom's files are kept: not among what is read as DICOM."""
    patients = patient.parent
    return patients.parent.parent / "written" / patients.name / f"{patient.name}.json"


def _sums(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256_file(path) for path in paths}


@published
def make(config: DataConfig, folder: Path) -> DicomFolder:
    """The source of `data.source: phantom`; phantoms are made below `folder` when first needed."""
    patients = write_phantoms(folder, config.phantom)
    return DicomFolder(patients, config.structures, config.patterns, folder, key=PSEUDONYM_KEY)
