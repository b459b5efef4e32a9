"""The source that a config names."""

from __future__ import annotations

from pathlib import Path

from harness.config.choices import SOURCES
from harness.config.data import DataConfig
from harness.data.scan import Source, SourceFactory


def make_source(config: DataConfig, root: Path) -> Source:
    """The source that the config names.

    Args:
        root: the work folder; what a source must keep to itself lies in its `private` folder.
    """
    factory: SourceFactory = SOURCES.get(config.source)
    return factory(config, root / "private" / config.source)
