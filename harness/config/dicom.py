"""`data.dicom:` which series and structure sets of a folder are looked at."""

from __future__ import annotations

from pydantic import Field

from harness.config.section import Pattern, Section


class DicomConfig(Section):
    """For folders where the rules of pairing leave several to choose from."""

    series: Pattern | None = Field(
        None, description="regular expression searched in SeriesDescription; null: every CT series"
    )
    structure_sets: Pattern | None = Field(
        None,
        description="regular expression searched in StructureSetLabel and StructureSetName; null: "
        "every structure set",
    )
