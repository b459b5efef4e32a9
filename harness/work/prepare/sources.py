"""The source that a config names."""

from __future__ import annotations

from pathlib import Path

from harness.config.choices import SOURCES
from harness.config.data import DataConfig
from harness.data.dicom.other_names import OtherNames
from harness.data.scan import Source, SourceFactory, is_published

PRIVATE = "private"
"""Folder of a work folder for what nobody but the user may see."""


def make_source(config: DataConfig, root: Path) -> Source:
    """The source that the config names.

    Args:
        root: the work folder; what a source must keep to itself lies in its private folder.
    """
    factory: SourceFactory = SOURCES.get(config.source)
    return factory(config, root / PRIVATE / config.source)


def has_own_patients(config: DataConfig) -> bool:
    """Whether the patients are the user's own: neither made up nor published."""
    return not is_published(SOURCES.get(config.source))


def other_names(config: DataConfig, root: Path) -> OtherNames:
    """What names of ROIs are called in the work folder `root`."""
    return OtherNames(root / PRIVATE, config.structures)
