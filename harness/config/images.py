"""`data.images:` how folders of NRRD and NIfTI files are read."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from harness.config.section import Pattern, Positive, Section

DEFAULT_IMAGE = r"(?i)^(ct|img|image)([_\-. ]?(ct|img|image|volume))?$"


class ImagesConfig(Section):
    """NRRD and NIfTI files of `source: images`."""

    layout: Literal["auto", "pddca", "han-seg", "deepmind", "nnunet", "folders"] = Field(
        "auto", description="how the files are laid out (docs/own-data.md); `auto` recognises it"
    )
    image: Pattern = Field(
        DEFAULT_IMAGE,
        description="under `folders`: regular expression of the CT's file name without its ending; "
        "the other files are masks",
    )
    labels: dict[str, Positive] = Field(
        {},
        description="under `folders`: names of a label map's values, `{parotid_left: 1}`; every "
        "patient then has one such file beside the image",
    )
    observer: Literal["oncologist", "radiographer"] = Field(
        "oncologist", description="under `deepmind`: whose contours to read"
    )
    patient_pattern: Pattern | None = Field(
        None,
        description="regular expression of a scan's folder or case name whose group names the "
        "person, where people were scanned twice; null: each scan is a person",
    )

    @field_validator("patient_pattern")
    @classmethod
    def _pattern_names_a_person(cls, value: str | None) -> str | None:
        if value is not None and re.compile(value).groups != 1:
            raise ValueError(
                f"the pattern must have one group, which names the person, but got '{value}'; "
                r"write it as (0522c\d+)[ab]?$"
            )
        return value
