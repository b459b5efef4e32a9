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
    import harness.data.sources.dicom
    import harness.data.sources.images
    import harness.data.sources.openkbp
    import harness.data.sources.phantom  # noqa: F401

    return SOURCES.get(config.source)(config, root / "private" / config.source)
