"""`data:` where patients come from and how pairs are cut."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from harness.config.choices import SOURCES, OneOf
from harness.config.section import (
    Pattern,
    Positive,
    PositiveFloat,
    Section,
    Share,
    compiled,
    full_sentences,
    must_differ,
)


class PhantomConfig(Section):
    """Procedural head-and-neck patients, written as DICOM and read back."""

    patients: int = Field(
        12,
        ge=1,
        le=10_000,
        description="how many patients to generate",
        json_schema_extra={
            "allowed": "a whole number in [1, 10000] (each takes a second or more, and 2 MB)"
        },
    )
    seed: int = Field(0, description="seed of the anatomy; other seeds give other patients")
    slices: int = Field(24, ge=1, le=1000, description="axial slices of each scan")
    spacing_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        (3.0, 1.5, 1.5), description="voxel size: slice distance, row, column"
    )


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
    trust_positions: bool = Field(
        False,
        description="draw a structure set on a CT series although their frames of reference differ",
    )
    overlap: Literal["xor", "union"] = Field(
        "xor",
        description="where contours of one structure overlap: `xor` takes what an odd number of "
        "them encloses, so that a contour inside another is a hole; `union` what any encloses, "
        "which fills such holes (docs/rtstruct.md)",
    )


DEFAULT_IMAGE = r"(?i)^(ct|img|image)([_\-. ]?(ct|img|image|volume))?$"


class ImagesConfig(Section):
    """NRRD, NIfTI and MetaImage files of `source: images`."""

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
    nifti_form: Literal["sform", "qform"] | None = Field(
        None,
        description="which of the two places that a NIfTI file may give is right, where they "
        "differ; null: they must agree",
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


class PatientLimits(Section):
    """How many patients of each role to use; the first ones in content order."""

    train: int | None = Field(None, ge=1, description="null uses all")
    validation: int | None = Field(None, ge=1, description="null uses all")
    test: int | None = Field(None, ge=1, description="null uses all")


class RolesConfig(Section):
    """Who trains, validates and tests: assigned by patient content, before anything is fitted."""

    by: Literal["source", "random"] = Field(
        "random",
        description="`source` takes the source's own folders (OpenKBP), `random` the shares below",
    )
    validation: Share = Field(0.15, description="share of patients, under `random`")
    test: Share = Field(0.3, description="share of patients, under `random`")
    seed: int = Field(0, description="seed of the assignment, under `random`")

    @model_validator(mode="after")
    def _someone_trains(self) -> RolesConfig:
        if self.by == "random" and self.validation + self.test >= 1:
            raise ValueError(
                "validation and test must leave patients to train (sum below 1), "
                f"but got {self.validation} and {self.test}"
            )
        return self


class CropConfig(Section):
    """Where the frame of a pair is centred."""

    placement: Literal["body", "fixed"] = Field(
        "body",
        description="`body`: structure position relative to the body outline, learnt on training "
        "patients; `fixed`: one row and column of the source grid (the thesis)",
    )
    fixed_row: int = Field(199, description="row of the crop centre, under `fixed`")
    fixed_column: int = Field(320, description="column of the crop centre, under `fixed`")
    frame_px: Positive = Field(128, description="edge of the CT frame, in pixels of `spacing_mm`")
    mask_px: Positive = Field(64, description="edge of the mask crop about the same centre")

    @model_validator(mode="after")
    def _mask_inside_frame(self) -> CropConfig:
        if self.mask_px > self.frame_px or (self.frame_px - self.mask_px) % 2:
            raise ValueError(
                "mask_px must not exceed frame_px and must differ from it by an even number, "
                f"but got mask_px={self.mask_px} and frame_px={self.frame_px}"
            )
        return self


OF_A_FOLDER = ("openkbp", "dicom", "images")
"""Sources that read `data.root`; another package's says itself what it lacks."""

DEFAULT_PATTERNS: dict[str, tuple[str, ...]] = {
    "parotid_left": (
        r"(?i)^(left|lt|l)[\s_\-.]*(parotid|par)([\s_\-.]*gland)?$",
        r"(?i)^(parotids?|glnd?_parotid|gland_parotid|par)[\s_\-.]*(gland[\s_\-.]*)?(left|lt|l|sin)$",
    ),
    "parotid_right": (
        r"(?i)^(right|rt|r)[\s_\-.]*(parotid|par)([\s_\-.]*gland)?$",
        r"(?i)^(parotids?|glnd?_parotid|gland_parotid|par)[\s_\-.]*(gland[\s_\-.]*)?(right|rt|r|dex)$",
    ),
}


class DataConfig(Section):
    """Patients, roles, pairs."""

    source: Annotated[str, OneOf(SOURCES)] = Field("phantom", description="where patients are")
    root: str | None = Field(
        None,
        description="folder of the patients; a relative one is seen from the experiment file's "
        "folder; not used by `phantom`",
    )
    phantom: PhantomConfig = Field(PhantomConfig(), description="for `source: phantom`")
    dicom: DicomConfig = Field(DicomConfig(), description="for `source: dicom`")
    images: ImagesConfig = Field(ImagesConfig(), description="for `source: images`")
    structures: tuple[str, ...] = Field(
        ("parotid_left", "parotid_right"),
        min_length=1,
        description="structures to read, one pair per structure and slice",
    )
    patterns: dict[str, tuple[str, ...]] = Field(
        DEFAULT_PATTERNS,
        description="names of DICOM ROIs and of masks: regular expressions per structure; a "
        "structure without any is looked up under its usual names (docs/own-data.md)",
    )
    mirror: bool = Field(
        True,
        description="mirror `*_left` structures into one channel with `*_right`; the side stays in "
        "the index and is undone before scoring",
    )
    roles: RolesConfig = Field(RolesConfig(), description="train, validation, test")
    limit: PatientLimits = Field(PatientLimits(), description="use fewer patients than there are")
    exclude: dict[str, str] = Field(
        {}, description="patients to leave out, by the name that `harness prepare` gives, and why"
    )
    without_structures: tuple[str, ...] = Field(
        (),
        description="patients who truly have none of the structures (removed, never formed), by "
        "the name that `harness prepare` gives: read without contours, slices with empty masks, "
        "for training alone and beside `limit`",
    )
    window_hu: tuple[float, float] = Field(
        (-324.0, 176.0), description="mapped linearly to [-1, 1], values outside clipped"
    )
    legacy_scaling: bool = Field(
        False, description="scale each slice by its own minimum and maximum, as the thesis did"
    )
    spacing_mm: PositiveFloat = Field(1.0, description="in-plane pixel size of the pairs")
    crop: CropConfig = Field(CropConfig(), description="centre and size of the frames")
    background_slice_fraction: Share = Field(
        0.1,
        description="slices next to the structure that do not show it, as a fraction of those that "
        "do",
    )

    @model_validator(mode="after")
    def _window_is_ordered(self) -> DataConfig:
        low, high = self.window_hu
        if low >= high:
            raise ValueError(
                f"window_hu must be [low, high] with low < high, but got [{low}, {high}]"
            )
        return self

    @model_validator(mode="after")
    def _root_is_given(self) -> DataConfig:
        if self.source in OF_A_FOLDER and not self.root:
            raise full_sentences(
                "data.root must name the folder of the patients when data.source is "
                f"'{self.source}', but got nothing; give it with -s data.root=FOLDER"
            )
        if self.source == "phantom" and self.root:
            raise full_sentences(
                "data.root must be left out when data.source is 'phantom', whose patients are made "
                "up, but got a folder; say what lies in it with -s data.source=dicom (or images, "
                "openkbp), or leave it out with -s data.root=null"
            )
        return self

    @field_validator("exclude")
    @classmethod
    def _exclusions_have_reasons(cls, value: dict[str, str]) -> dict[str, str]:
        for name, why in value.items():
            if not why.strip():
                raise ValueError(f"each patient needs a reason, but got none for '{name}'")
        return value

    @field_validator("structures", "without_structures")
    @classmethod
    def _names_differ(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        must_differ("structures" if info.field_name == "structures" else "patients", value)
        return value

    @model_validator(mode="after")
    def _left_out_or_in(self) -> DataConfig:
        both = [name for name in self.without_structures if name in self.exclude]
        if both:
            raise ValueError(
                "exclude and without_structures must name different patients, but got "
                f"{', '.join(both)} in both; take each out of one"
            )
        return self

    @field_validator("patterns")
    @classmethod
    def _patterns_compile(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for structure, patterns in value.items():
            for pattern in patterns:
                compiled(pattern, f"each pattern of '{structure}'")
        return value

    @property
    def folder(self) -> Path | None:
        """`root` as a path, `~` expanded on the machine that asks; None for `phantom`."""
        return None if self.root is None else Path(self.root).expanduser()
