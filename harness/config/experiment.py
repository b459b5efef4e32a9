"""`Experiment`: one YAML file is one question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, create_model, field_validator, model_validator

from harness.base.errors import EnvironmentFault
from harness.base.registry import Registry
from harness.config.arms import DEFAULT, arm_of, arm_problems
from harness.config.choices import IMAGE_NETWORKS, MASK_NETWORKS, SEGMENTERS
from harness.config.data import DataConfig
from harness.config.decision import DecisionConfig, OfArm
from harness.config.legacy import LegacyConfig
from harness.config.metrics import MetricsConfig
from harness.config.observations import ObservationConfig, observation_problems
from harness.config.search import SweepConfig
from harness.config.section import Positive, Section, full_sentences, must_differ
from harness.config.servers import tracking_problem
from harness.config.stages import (
    DcganConfig,
    ImageStageConfig,
    MaskStageConfig,
    NetworkRecord,
    Pix2pixConfig,
    SegmentationConfig,
    UnetConfig,
    share_problems,
)


class SynthesisConfig(Section):
    """From noise to a store of labelled synthetic CT."""

    pairs: Positive = Field(300, description="synthetic pairs to keep")
    threshold: float = Field(0.0, ge=-1, le=1, description="of the generator's output in [-1, 1]")
    tolerance: float = Field(
        0.25,
        ge=0,
        description="a mask is plausible if area and extent lie inside the training range "
        "widened by this share",
    )
    attempts: Positive = Field(
        10, description="noise vectors tried per kept mask before giving up, on average"
    )
    clean: bool = Field(
        True,
        description="holes filled, the largest region kept, implausible masks left out; false "
        "takes every mask as it is drawn",
    )


class ReplicatesConfig(Section):
    """Seeds of the comparison; disjoint from the sweep's by construction."""

    count: Positive = Field(
        5, description="trainings of both stages and every arm; 5 or more allow a verdict"
    )
    seed: int = Field(1000, ge=1000, description="first seed; sweep seeds are below 1000")
    cohorts: Literal["fixed", "disjoint", "drawn"] = Field(
        "fixed",
        description="training patients of a replicate: all of them in each, a part of its own that "
        "shares nobody with another's, or a part drawn with overlap; parts carry the answer from "
        "this cohort to ones like it",
    )
    cohort_size: Positive | None = Field(
        None,
        description="training patients of each cohort; null divides all by the replicates",
    )

    @model_validator(mode="after")
    def _size_is_of_cohorts(self) -> ReplicatesConfig:
        if self.cohorts == "fixed" and self.cohort_size is not None:
            raise ValueError(
                "cohort_size must be null where cohorts are fixed, but got "
                f"{self.cohort_size}; set cohorts to disjoint or drawn, or data.limit.train"
            )
        return self


class LearningCurveConfig(Section):
    """Arms from fewer patients, in cohorts that share nobody: estimates and intervals only."""

    patients: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        (), description="numbers of training patients, GAN stages and all"
    )
    arms: tuple[OfArm, ...] = Field(
        (), description="further arms than the two of the primary comparison"
    )
    cohorts: int = Field(
        10,
        ge=2,
        description="most cohorts of a size; as many as the training patients suffice for, none of "
        "them in two cohorts of a size",
    )

    @model_validator(mode="after")
    def _sizes_differ(self) -> LearningCurveConfig:
        must_differ("numbers of patients", self.patients)
        return self


class DoseResponseConfig(Section):
    """Further levels at which the arms of the primary comparison are compared.

    Every replicate trains both arms at each level. Estimates and intervals only: the declared
    comparison alone has a verdict.
    """

    synthetic_fraction: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (), description="synthetic fractions of the batch"
    )

    @model_validator(mode="after")
    def _levels_differ(self) -> DoseResponseConfig:
        must_differ("levels of synthetic_fraction", self.synthetic_fraction)
        return self


class ComputeConfig(Section):
    """Where and how numbers are computed; `auto` is resolved once and frozen."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="cuda where there is one")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="`auto` takes what trains each network faster, timed for a second"
    )
    threads: Literal["auto"] | Positive = Field(
        "auto", description="torch threads of a worker; results depend on it, so it is frozen"
    )


class TrackingConfig(Section):
    """MLflow is a view of the work folder."""

    enabled: bool = Field(True, description="show runs and values in MLflow")
    uri: str | None = Field(
        None,
        description="tracking URI, which holds no password (docs/servers.md); null is sqlite in "
        "the work folder",
    )
    sample_grids: Positive = Field(8, description="about how many grids of samples of a training")

    @field_validator("uri", mode="before")
    @classmethod
    def _holds_no_secret(cls, value: Any) -> Any:
        problem = tracking_problem(value)
        if problem:
            raise full_sentences(problem)
        return value


class PrivacyConfig(Section):
    """Who may see what of patients who are somebody's."""

    shared: bool = Field(
        False,
        description="true leaves a new work folder to your umask, for a team; false keeps it to "
        "you (0700) unless its patients are phantoms or published",
    )
    roi_names: bool = Field(
        False,
        description="true shows all names of ROIs on pages and in MLflow; false calls those that "
        "are no usual ones `other name 1`, ..., which private/names.json resolves",
    )


class Experiment(Section):
    """The whole question; with other networks than the built-in ones, a subclass of `model_of`."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,60}$",
        description="short name: folder and MLflow experiment",
        json_schema_extra={
            "allowed": "1 to 61 letters, digits, '_', '.' and '-', first a letter or digit"
        },
    )
    question: str = Field(
        "Does GAN-made training data improve the segmentation network?",
        description="printed on the report",
    )
    conclusive: bool = Field(
        True,
        description="false prints `shows the path, too short to conclude` on console and page",
    )
    seed: int = Field(0, ge=0, description="root of every random stream")
    data: DataConfig = Field(DataConfig(), description="patients and pairs")
    mask: DcganConfig = Field(DcganConfig(), description="Stage I, noise -> mask")
    image: Pix2pixConfig = Field(Pix2pixConfig(), description="Stage II, mask -> CT")
    synthesis: SynthesisConfig = Field(SynthesisConfig(), description="synthetic pairs")
    segmentation: UnetConfig = Field(UnetConfig(), description="downstream segmenter")
    arms: tuple[OfArm, ...] = Field(DEFAULT, min_length=1, description="what is compared")
    replicates: ReplicatesConfig = Field(ReplicatesConfig(), description="seeds of the comparison")
    metrics: MetricsConfig = Field(MetricsConfig(), description="image quality")
    sweep: SweepConfig = Field(SweepConfig(), description="search")
    decision: DecisionConfig = Field(DecisionConfig(), description="the rule")
    learning_curve: LearningCurveConfig = Field(
        LearningCurveConfig(), description="the arms from fewer training patients"
    )
    dose_response: DoseResponseConfig = Field(
        DoseResponseConfig(), description="the primary comparison at other doses"
    )
    compute: ComputeConfig = Field(ComputeConfig(), description="device and precision")
    legacy: LegacyConfig = Field(LegacyConfig(), description="to replay the thesis")
    observations: tuple[ObservationConfig, ...] = Field(
        (), description="claims about the generators, each to hold or not over a sweep's seeds"
    )
    tracking: TrackingConfig = Field(TrackingConfig(), description="MLflow")
    privacy: PrivacyConfig = Field(PrivacyConfig(), description="who sees what of your patients")

    def __reduce__(self) -> Any:
        """A subclass of `model_of` has no name by which another process would find it."""
        return (_again, (to_dict(self),))

    @model_validator(mode="after")
    def _networks_have_their_sections(self) -> Experiment:
        for part, (networks, _) in _NETWORKS.items():
            name, section = getattr(self, part).network, type(getattr(self, part))
            if networks.get(name).section is not section:
                raise full_sentences(
                    f"{part} must hold the settings of its network '{name}', but got those of "
                    f"{section.__name__}; read the experiment by its file"
                )
        return self

    @model_validator(mode="after")
    def _a_frame_holds_one_structure(self) -> Experiment:
        names = self.data.structures
        stems = {re.sub("_(left|right)$", "", name) for name in names}
        if len(names) > 1 and (len(stems) > 1 or stems & set(names)):
            raise full_sentences(
                "data.structures must be one structure, or the left and the right one of a pair "
                f"(parotid_left, parotid_right), but got {', '.join(names)}: a frame has the mask "
                "of one structure, and others in it would be labelled as nothing; write an "
                "experiment for each"
            )
        return self

    @model_validator(mode="after")
    def _frames_fit_networks(self) -> Experiment:
        for part, edge in {
            "mask": "mask_px",
            "image": "frame_px",
            "segmentation": "frame_px",
        }.items():
            section, found = getattr(self, part), getattr(self.data.crop, edge)
            if wanted := section.wants(found):
                raise full_sentences(
                    f"data.crop.{edge} must be {wanted} for {part}.network '{section.network}', "
                    f"but got {found}; change it"
                )
        return self

    @model_validator(mode="after")
    def _sweeps_fit_stages(self) -> Experiment:
        problems = self.sweep.problems(self.segmentation, self.mask, self.image)
        if problems:
            raise full_sentences(*problems)
        return self

    def _fractions_swept(self) -> tuple[float, ...]:
        swept = self.sweep.segmentation
        axis = swept.space.get("synthetic_fraction") if swept is not None else None
        return tuple(map(float, axis.values or ())) if axis is not None else ()

    @model_validator(mode="after")
    def _shares_are_slots(self) -> Experiment:
        problems = share_problems(
            self.segmentation,
            {
                "segmentation.synthetic_fraction": (self.segmentation.synthetic_fraction,),
                "sweep.segmentation.space.synthetic_fraction.values": self._fractions_swept(),
                "dose_response.synthetic_fraction": self.dose_response.synthetic_fraction,
            },
        )
        if problems:
            raise full_sentences(*problems)
        return self

    @model_validator(mode="after")
    def _rule_fits_arms(self) -> Experiment:
        problems = arm_problems(self.arms, self.data.source)
        if problems:
            raise full_sentences(*problems)
        primary = self.decision.primary
        named = {*primary, *(arm for pair in self.decision.secondary for arm in pair)}
        missing = sorted(named - set(self.arms))
        if missing:
            why = ""
            if self.decision.question == "add" and not {*primary} <= {*self.arms}:
                why = f" (decision.question 'add' compares {primary[1]} with {primary[0]})"
            raise ValueError(
                "decision must name arms that are trained, but got "
                f"{', '.join(missing)}{why}; add them to `arms`"
            )
        return self

    @model_validator(mode="after")
    def _looks_fit_replicates(self) -> Experiment:
        looks, replicates = self.decision.looks, self.replicates
        if not looks:
            return self
        if looks[-1] != replicates.count:
            raise full_sentences(
                f"decision.looks must end with replicates.count, {replicates.count}, but got "
                f"{', '.join(map(str, looks))}; change one"
            )
        others = {
            "replicates.cohorts": replicates.cohorts != "fixed",
            "learning_curve.patients": bool(self.learning_curve.patients),
            "dose_response.synthetic_fraction": bool(self.dose_response.synthetic_fraction),
        }
        for name in (name for name, there in others.items() if there):
            raise full_sentences(
                "decision.looks go with replicates of one cohort and without further doses, but "
                f"got {name} too: the two were never tried together; remove one"
            )
        return self

    @model_validator(mode="after")
    def _curve_can_be_drawn(self) -> Experiment:
        asked = self.learning_curve
        if asked.patients and self.replicates.cohorts == "drawn":
            raise full_sentences(
                "replicates.cohorts must be fixed or disjoint for a learning curve, whose cohorts "
                "share nobody, but got 'drawn'; change it, or empty learning_curve.patients"
            )
        for name in asked.arms:
            if name not in self.arms or arm_of(name).order == "longer":
                raise full_sentences(
                    "learning_curve.arms must be among `arms` and train for segmentation.updates, "
                    f"but got '{name}'; remove it"
                )
        return self

    @model_validator(mode="after")
    def _cohorts_have_the_structures(self) -> Experiment:
        drawn = {
            "replicates.cohorts": self.replicates.cohorts != "fixed",
            "learning_curve.patients": bool(self.learning_curve.patients),
        }
        for stage in ("mask", "image"):
            settings, swept = getattr(self, stage), getattr(self.sweep, stage)
            drawn[f"{stage}.patients"] = settings.patients is not None
            drawn[f"sweep.{stage}.space.patients"] = swept is not None and "patients" in swept.space
        named = [name for name, there in drawn.items() if there]
        if named and self.data.without_structures:
            raise full_sentences(
                "data.without_structures must be empty where only some of the training patients "
                f"are drawn, but got {', '.join(self.data.without_structures)} and {named[0]}: "
                "some draws would have them and others not, or nobody else; remove one"
            )
        return self

    @model_validator(mode="after")
    def _legacy_fits(self) -> Experiment:
        searched = self.sweep.image is not None
        problem = self.legacy.problem(self.data.mirror, searched, self.image, self.mask)
        if problem:
            raise full_sentences(problem)
        return self

    @model_validator(mode="after")
    def _observations_can_be_made(self) -> Experiment:
        epochs = self.metrics.scored_epochs
        problems = observation_problems(self.observations, self.sweep, self.legacy, epochs)
        if problems:
            raise full_sentences(*problems)
        return self

    @model_validator(mode="after")
    def _segmenter_takes_added_pairs(self) -> Experiment:
        added = [name for name in self.arms if arm_of(name).order == "added"]
        if added and not network_of(self, "segmentation").takes_added:
            raise full_sentences(
                f"segmentation.network must take added pairs for the arm '{added[0]}', but got "
                f"'{self.segmentation.network}', which cannot tell them from real ones; remove the "
                "arm from `arms`, or name another network"
            )
        return self


_NETWORKS: Mapping[str, tuple[Registry[Any], type[Section]]] = {
    "mask": (MASK_NETWORKS, MaskStageConfig),
    "image": (IMAGE_NETWORKS, ImageStageConfig),
    "segmentation": (SEGMENTERS, SegmentationConfig),
}


def model_of(tree: Mapping[str, Any]) -> type[Experiment]:
    """`Experiment` with the sections of the networks that plain data names; a name that is not
    registered leaves the built-in section, which refuses it.

    Raises:
        EnvironmentFault: the section of another package's network is none of that stage.
    """
    names = []
    for part, (networks, _) in _NETWORKS.items():
        section = tree.get(part)
        name = section.get("network") if isinstance(section, Mapping) else None
        known = isinstance(name, str) and name in networks.names()
        names.append(name if known else Experiment.model_fields[part].default.network)
    return _model(*names)


def _again(tree: Mapping[str, Any]) -> Experiment:
    """An experiment of its own plain data."""
    return model_of(tree).model_validate(tree)


def network_of(experiment: Experiment, part: str) -> NetworkRecord:
    """The record of the network that "mask", "image" or "segmentation" trains."""
    record: NetworkRecord = _NETWORKS[part][0].get(getattr(experiment, part).network)
    return record


@lru_cache
def _model(*names: str) -> type[Experiment]:
    fields: dict[str, Any] = {}
    for name, (part, (networks, stage)) in zip(names, _NETWORKS.items(), strict=True):
        section, built_in = networks.get(name).section, Experiment.model_fields[part]
        if not (isinstance(section, type) and issubclass(section, stage)):
            got = getattr(section, "__name__", type(section).__name__)
            raise EnvironmentFault(
                f"the section of {networks.noun} '{name}' must be a {stage.__name__}, but got "
                f"{got}; mend or uninstall its package"
            )
        if section is not type(built_in.default):
            try:
                default = section(network=name)  # type: ignore[call-arg]
                section.model_validate(to_dict(default))
            except (ValueError, TypeError) as error:
                raise EnvironmentFault(
                    f"each setting of {networks.noun} '{name}' must have a valid default of plain "
                    f"data, but got '{' '.join(str(error).split())[:120]}'; mend or uninstall its "
                    "package"
                ) from error
            fields[part] = section, Field(default, description=built_in.description)
    return create_model("Experiment", __base__=Experiment, **fields) if fields else Experiment


def to_dict(section: Section) -> dict[str, Any]:
    """A section as plain data (lists, not tuples), as it enters a spec."""
    return section.model_dump(mode="json")
