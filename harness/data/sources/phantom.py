"""Source `phantom`: procedural patients, written as DICOM once and read back as any DICOM folder.

Phantom `i` of a seed is the same whatever the number of phantoms. Each patient's folder appears
whole or not at all, so an interrupted call leaves only what the next one need not make again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from harness.base.denied import why
from harness.base.errors import EnvironmentFault
from harness.base.files import digest_of, sync_folder
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
            if not final.is_dir():
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


@published
def make(config: DataConfig, folder: Path) -> DicomFolder:
    """The source of `data.source: phantom`; phantoms are made below `folder` when first needed."""
    patients = write_phantoms(folder, config.phantom)
    return DicomFolder(patients, config.structures, config.patterns, folder, key=PSEUDONYM_KEY)
