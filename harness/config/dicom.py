"""`data.dicom:` which series and structure sets of a folder are looked at."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from harness.config.base import Section


class DicomConfig(Section):
    """For folders where the rules of pairing leave several to choose from."""

    series: str | None = Field(
        None, description="regular expression searched in SeriesDescription; null: every CT series"
    )
    structure_sets: str | None = Field(
        None,
        description="regular expression searched in StructureSetLabel and StructureSetName; null: "
        "every structure set",
    )

    @field_validator("series", "structure_sets")
    @classmethod
    def _pattern_compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(
                f"the pattern must be a regular expression, but got '{value}' ({error})"
            ) from error
        return value
