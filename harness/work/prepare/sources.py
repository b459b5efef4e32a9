"""The source that a config names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.base.errors import DataError
from harness.config.choices import SOURCES
from harness.config.data import DataConfig
from harness.data.dicom.other_names import OtherNames
from harness.data.scan import (
    BareSource,
    Excluded,
    Reference,
    Scan,
    Source,
    SourceFactory,
    is_published,
)

PRIVATE = "private"
"""Folder of a work folder for what nobody but the user may see."""


def make_source(config: DataConfig, root: Path) -> Source:
    """The source that the config names.

    Args:
        root: the work folder; what a source must keep to itself lies in its private folder.
    """
    factory: SourceFactory = SOURCES.get(config.source)
    return factory(config, root / PRIVATE / config.source)


def read_patient(source: Source, reference: Reference, config: DataConfig) -> Scan | Excluded:
    """A patient's scan; with empty masks where the patient has none of the structures."""
    if reference.patient not in config.without_structures:
        return source.read(reference)
    try:
        if not isinstance(source, BareSource):
            raise DataError(
                f"data.without_structures needs a source that reads CT alone, but '{config.source}'"
                " has no `read_bare`; take the patient out of it"
            )
        scan = source.read_bare(reference)
    except DataError as error:
        return Excluded(reference.patient, str(error))
    masks = {name: np.zeros(scan.hu.shape, np.bool_) for name in config.structures}
    words = f"has no {' and no '.join(config.structures)} (data.without_structures): empty masks"
    return replace(scan, masks=masks, notes=(*scan.notes, words))


def has_own_patients(config: DataConfig) -> bool:
    """Whether the patients are the user's own: neither made up nor published."""
    return not is_published(SOURCES.get(config.source))


def other_names(config: DataConfig, root: Path) -> OtherNames:
    """What names of ROIs are called in the work folder `root`."""
    return OtherNames(root / PRIVATE, config.structures)
