"""Write a commented experiment for a folder of DICOM files."""

from __future__ import annotations

from pathlib import Path

from harness.base.errors import ConfigError, DataError
from harness.base.files import write_text
from harness.commands.output_folder import unwritable
from harness.config.starter import starter


def write_starter(root: Path, output: Path, name: str) -> None:
    """Write the starter experiment; an existing file is never overwritten."""
    if not root.is_dir():
        raise DataError(f"harness init needs an existing DICOM folder, but got '{root}'")
    if output.exists():
        raise ConfigError(f"'{output}' exists already; name another file with --output")
    try:
        write_text(output, starter(str(root), name))
    except OSError as error:
        raise unwritable("--output", "a file that can be written", output, error) from error
