"""Sources by name; their modules register themselves when they are first needed."""

from __future__ import annotations

from pathlib import Path

from harness.config.data import DataConfig
from harness.data.scan import SOURCES, Source


def make_source(config: DataConfig, root: Path) -> Source:
    """The source that the config names.

    Args:
        root: the work folder; what a source must keep to itself lies in its `private` folder.
    """
    from harness.data.sources import dicom, openkbp, phantom  # noqa: F401 - they register themselves
    from harness.data.sources.volumes import source  # noqa: F401

    return SOURCES.get(config.source)(config, root / "private" / config.source)
