"""What the sweeps chose: settings of both stages, then what all arms share; frozen in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.base.errors import ConfigError, DataError
from harness.base.files import digest_of
from harness.base.text import counted
from harness.commands.session import Session
from harness.commands.studies import study_file, study_server
from harness.compare.replicate import ReplicatePlanner
from harness.compare.tuning import Tuning, TuningPlan, untunable
from harness.config.experiment import Experiment, to_dict
from harness.config.stages import ImageStageConfig, MaskStageConfig
from harness.inference.dose import AXIS_NAMES
from harness.jobs.graph import JobGraph
from harness.jobs.waiting import wait_out
from harness.sweep.chosen import newest_chosen, read_chosen, write_chosen
from harness.sweep.plan import SweepPlan
from harness.sweep.planner import StageSweep
from harness.sweep.storage import is_begun
from harness.sweep.study import Study, study_name
from harness.tracking.views.comparison import tuning_views


def stage_sweep(session: Session, stage: str) -> StageSweep:
    """The planner of one stage's study."""
    experiment = session.experiment
    settings = getattr(experiment.sweep, stage)
    if settings is None:
        raise ConfigError(
            f"a sweep of the {stage} stage needs sweep.{stage}, but it is null; give it a space"
        )
    path, server = study_file(session.root, stage), study_server(experiment, session.root)
    base = _base(session, stage)
    study = wait_out(
        session.console, lambda: Study(path, stage, experiment.sweep, settings, base, server)
    )
    return StageSweep(stage, session.specs, session.store, study)


def _base(session: Session, stage: str) -> str:
    """Digest of what a study's scores depend on beside the settings it tries."""
    experiment = session.experiment
    return digest_of(
        [
            session.store.digest,
            to_dict(getattr(experiment, stage)),
            dict(session.specs.extractor),
            session.specs.compute_of(f"{stage}-stage"),
            experiment.metrics.images,
            experiment.seed,
        ]
    )


def finished_sweeps(session: Session, graph: JobGraph | None = None) -> list[SweepPlan]:
    """Sweeps that have trials, as far as studies and folders tell; asks and trains nothing."""
    plans = []
    for stage in ("mask", "image"):
        if has_study(session, stage):
            planner = stage_sweep(session, stage)
            read = partial(planner.look, graph or session.graph())
            plans.append(wait_out(session.console, read))
    return [plan for plan in plans if plan.trials]


def has_study(session: Session, stage: str) -> bool:
    """Whether the experiment sweeps a stage and some study of it was begun."""
    if getattr(session.experiment.sweep, stage) is None:
        return False
    path = study_file(session.root, stage)
    server = study_server(session.experiment, session.root)
    return wait_out(session.console, lambda: is_begun(path, stage, server))


@dataclass(frozen=True)
class Choice:
    """Settings for the comparison, and where each came from.

    Attributes:
        magnitude, synthetic_fraction: of the augmentation and of the batch, the same
            in all arms.
        origin: in a phrase, by "mask", "image" and "segmentation".
    """

    mask: MaskStageConfig
    image: ImageStageConfig
    magnitude: float
    synthetic_fraction: float
    origin: Mapping[str, str]

    def replicates(self, session: Session) -> ReplicatePlanner:
        """Plans replicates under these settings."""
        own = ReplicatePlanner(session.specs, session.store, self.mask, self.image)
        return own.with_segmentation(self.magnitude, self.synthetic_fraction)


def choose(session: Session, with_segmentation: bool) -> None:
    """Write `chosen.yaml` from the best trials of the finished sweeps.

    A stage whose sweep is not finished keeps the choice that it had.

    Args:
        with_segmentation: train the candidates of magnitude and fraction under these settings
            first, and choose among them.
    """
    chosen: dict[str, Any] = read_chosen(session.home) or {}
    for plan in finished_sweeps(session):
        if not plan.finished:
            continue
        if plan.best is None:
            session.console.warn(
                f"every trial of the {plan.stage} sweep had a seed that failed; the "
                "comparison will use the experiment's own settings for this stage"
            )
            chosen.pop(plan.stage, None)
            continue
        chosen[plan.stage] = {
            "study": plan.study,
            "trial": plan.best.number,
            plan.objective: plan.best.value,
            "params": dict(plan.best.params),
            "settings": to_dict(stage_sweep(session, plan.stage).settings_of(plan.best)),
        }
    if with_segmentation:
        chosen["segmentation"] = _tune(session, chosen)
    before = newest_chosen(session.home)
    if not chosen and before is None:
        return
    path = write_chosen(session.home, chosen)
    if before is not None and path != before:
        session.console.warn(
            f"{path.name} differs from {before.name}: compare and report now go by it; earlier "
            "results stay, and come back when that file is removed"
        )


def choice(session: Session) -> Choice:
    """What the newest `chosen-*.yaml` says, the experiment's own settings where it says nothing."""
    return _choice(session, read_chosen(session.home) or {})


def _choice(session: Session, chosen: Mapping[str, Any]) -> Choice:
    experiment = session.experiment
    settings: dict[str, Any] = {"mask": experiment.mask, "image": experiment.image}
    origin: dict[str, str] = {}
    for stage in ("mask", "image"):
        sweep = getattr(experiment.sweep, stage)
        if stage not in chosen or sweep is None:
            origin[stage] = "the experiment's own settings"
            continue
        study = chosen[stage]["study"]
        settings[stage] = type(settings[stage]).model_validate(chosen[stage]["settings"])
        origin[stage] = f"trial {chosen[stage]['trial']} of study {study}"
        if study != study_name(stage, experiment.sweep, sweep, _base(session, stage)):
            origin[stage] += ", whose data, settings or search space differ from the experiment's"
    own = experiment.segmentation
    given = {"magnitude": own.augmentation.magnitude, "synthetic_fraction": own.synthetic_fraction}
    values, paths = given, ("augmentation.magnitude", "synthetic_fraction")
    text = (
        "the experiment's own augmentation magnitude {magnitude:g} and synthetic fraction "
        "{synthetic_fraction:g}"
    )
    if "segmentation" in chosen and experiment.sweep.segmentation is not None:
        entry = chosen["segmentation"]
        values = {axis: float(entry[axis]["chosen"]) for axis in given}
        tried = len(entry["magnitude"]["candidates"])
        text = (
            "augmentation magnitude {magnitude:g} and synthetic fraction {synthetic_fraction:g}, "
            f"by validation Dice among {counted(tried, 'candidate')} each"
        )
        unused = [
            f"segmentation.{path} {given[axis]:g}"
            for path, axis in zip(paths, given, strict=True)
            if given[axis] != values[axis]
        ]
        if unused:
            text += f"; the experiment's {' and '.join(unused)} not used"
        if entry["base"] != _tuning_base(session, settings["mask"], settings["image"]):
            text += (
                "; chosen under data or settings that differ from the experiment's: "
                "`harness sweep` chooses again"
            )
    origin["segmentation"] = text.format(**values)
    return Choice(settings["mask"], settings["image"], **values, origin=origin)


def tuning_of(session: Session, graph: JobGraph | None = None) -> TuningPlan | None:
    """The candidates of magnitude and fraction as they stand, None if none began; trains
    nothing."""
    if why_untunable(session.experiment):
        return None
    found = tuning_under(session, choice(session)).plan(graph or session.graph())
    begun = [
        spec
        for candidates in found.candidates.values()
        for candidate in candidates
        for _, spec in candidate.segmenters()
        if session.work.job(spec).path.exists()
    ]
    return found if begun else None


def candidates_of(session: Session, graph: JobGraph) -> dict[str, Any]:
    """What was tried of magnitude and fraction, by axis as `TuningPlan.to_dict` has it: as the
    newest choice records it, before there is one as far as it is trained. Their jobs enter the
    graph."""
    begun = tuning_of(session, graph)
    recorded = (read_chosen(session.home) or {}).get("segmentation")
    if recorded is not None and session.experiment.sweep.segmentation is not None:
        return {axis: recorded[axis] for axis in AXIS_NAMES}
    return begun.to_dict() if begun is not None else {}


def why_untunable(experiment: Experiment) -> str:
    """Why augmentation magnitude and synthetic fraction are not chosen; empty if they can be."""
    if experiment.sweep.segmentation is None:
        return "sweep.segmentation is null"
    if experiment.mask.learns == "ct":
        return "mask.learns is 'ct'"
    return untunable(experiment.decision.baseline, experiment.decision.candidate)


def tuning_under(session: Session, chosen: Choice) -> Tuning:
    """The planner of the choice of magnitude and fraction under both stages' settings."""
    return Tuning(ReplicatePlanner(session.specs, session.store, chosen.mask, chosen.image))


def _tuning_base(session: Session, mask: MaskStageConfig, image: ImageStageConfig) -> str:
    """Digest of what the choice of augmentation magnitude and synthetic fraction depends on."""
    experiment = session.experiment
    segmentation = to_dict(experiment.segmentation)
    del segmentation["synthetic_weight"]  # no candidate adds pairs
    return digest_of(
        [
            session.store.digest,
            to_dict(mask),
            to_dict(image),
            to_dict(experiment.synthesis),
            segmentation,
            to_dict(experiment.sweep.segmentation) if experiment.sweep.segmentation else None,
            experiment.sweep.seeds,
            [experiment.decision.baseline, experiment.decision.candidate],
            session.specs.compute_of("segmenter"),
            experiment.seed,
        ]
    )


def need_validation(session: Session) -> None:
    """Whether there is somebody to choose augmentation magnitude and synthetic fraction by.

    Raises:
        DataError: no patient is for validation.
    """
    if "validation" not in session.roles.values():
        raise DataError(
            "the choice of augmentation magnitude and synthetic fraction needs validation "
            "patients, but no patient has that role; change data.roles, or set "
            "sweep.segmentation to null"
        )


def _tune(session: Session, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Train the candidates; what was found, as it enters `chosen.yaml`."""
    need_validation(session)
    settings = _choice(session, chosen)
    planner = tuning_under(session, settings)

    def plan(graph: JobGraph) -> TuningPlan:
        found = planner.plan(graph)
        session.views["sweep-segmentation"] = tuning_views(found, graph)
        return found

    session.console.heading("Choice of augmentation magnitude and synthetic fraction")
    found: TuningPlan = session.drive(plan)
    return {"base": _tuning_base(session, settings.mask, settings.image), **found.to_dict()}
