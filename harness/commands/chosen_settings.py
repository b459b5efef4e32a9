"""What sweeps chose: settings of both stages, then of each arm's segmenter; frozen in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.base.errors import ConfigError, DataError
from harness.base.files import digest_of
from harness.base.text import counted, settings_text
from harness.commands.session import Session
from harness.commands.studies import study_file, study_server
from harness.compare.replicate import ReplicatePlanner
from harness.compare.tuning import Tuning, TuningPlan, settings_source, tuned_arms, untunable
from harness.config.axes import apply
from harness.config.experiment import Experiment, to_dict
from harness.config.measures import DICE
from harness.config.stages import ImageStageConfig, MaskStageConfig, SegmentationConfig
from harness.jobs.graph import JobGraph
from harness.jobs.waiting import wait_out
from harness.sweep.chosen import newest_chosen, read_chosen, write_chosen
from harness.sweep.plan import SweepPlan
from harness.sweep.planner import StageSweep
from harness.sweep.storage import is_there
from harness.sweep.study import Study, study_name
from harness.tracking.views.comparison import tuning_views
from harness.work.specs import stage_settings


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
            stage_settings(getattr(experiment, stage)),
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
    """Whether the experiment sweeps a stage and its study was begun; makes none."""
    experiment, path = session.experiment, study_file(session.root, stage)
    settings, server = getattr(experiment.sweep, stage), study_server(experiment, session.root)
    if settings is None or (server is None and not path.exists()):
        return False
    name = study_name(stage, experiment.sweep, settings, _base(session, stage))
    return wait_out(session.console, lambda: is_there(path, name, server))


OWN = "the experiment's own settings of the segmenter, in every arm"


@dataclass(frozen=True)
class Choice:
    """Settings for the comparison, and where each came from.

    Attributes:
        of_arm: settings of the segmenters of arms that chose their own or take another arm's.
        origin: in a phrase, by "mask", "image" and "segmentation".
    """

    mask: MaskStageConfig
    image: ImageStageConfig
    of_arm: Mapping[str, SegmentationConfig]
    origin: Mapping[str, str]

    def replicates(self, session: Session) -> ReplicatePlanner:
        """Plans replicates under these settings."""
        return ReplicatePlanner(
            session.specs, session.store, self.mask, self.image, dict(self.of_arm)
        )


def choose(session: Session, with_segmentation: bool) -> None:
    """Write `chosen.yaml` from the best trials of the finished sweeps.

    A stage whose sweep is not finished keeps the choice that it had.

    Args:
        with_segmentation: train the candidates of the arms' segmenters under these settings first,
            and choose among them.
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
    of_arm, origin["segmentation"] = _of_arms(session, chosen.get("segmentation"), settings)
    return Choice(settings["mask"], settings["image"], of_arm, origin)


def _of_arms(
    session: Session, entry: Mapping[str, Any] | None, stages: Mapping[str, Any]
) -> tuple[dict[str, SegmentationConfig], str]:
    """Settings of the segmenters by arm as `chosen.yaml` has them, and the phrase on them."""
    experiment = session.experiment
    if entry is None or why_untunable(experiment):
        return {}, OWN
    if "arms" not in entry:
        return {}, f"{OWN}: an earlier version's choice is not used; `harness sweep` chooses again"
    tuned = [arm for arm in tuned_arms(experiment) if arm in entry["arms"]]
    if len(tuned) < 2:
        return {}, (
            f"{OWN}: a choice was made by {' and '.join(entry['arms'])}, not by all that are "
            "compared; `harness sweep` chooses again"
        )
    own = experiment.segmentation
    found = {arm: apply(own, entry["arms"][arm]["chosen"]) for arm in tuned}
    every = dict.fromkeys([*experiment.arms, *experiment.decision.primary, *tuned])
    of_arm: dict[str, SegmentationConfig] = {
        arm: found[settings_source(arm, tuned)] for arm in every
    }
    words = [f"{arm}: {settings_text(entry['arms'][arm]['chosen']) or 'its own'}" for arm in tuned]
    text = (
        f"{'; '.join(words)} (by validation {experiment.decision.measured.title} of whole volumes, "
        "among "
        f"{counted(len(entry['arms'][tuned[0]]['candidates']), 'setting')} each; other arms train "
        "under those of the arm that they control)"
    )
    if entry["base"] != _tuning_base(session, stages["mask"], stages["image"]):
        text += (
            "; chosen under data or settings that differ from the experiment's: `harness sweep` "
            "chooses again"
        )
    return of_arm, text


def tuning_of(session: Session, graph: JobGraph | None = None) -> TuningPlan | None:
    """The candidates of the arms' settings as they stand, None if none began; trains nothing."""
    if why_untunable(session.experiment):
        return None
    found = tuning_under(session, choice(session)).plan(graph or session.graph())
    begun = [
        spec
        for arm in found.arms.values()
        for candidate in arm.candidates
        for rung in candidate.rungs
        for replicate in rung.replicates
        for spec in replicate.segmenters.values()
        if session.work.job(spec).path.exists()
    ]
    return found if begun else None


def candidates_of(session: Session, graph: JobGraph) -> dict[str, Any]:
    """What was tried, by arm as `TuningPlan.to_dict` has it: as the newest choice records it,
    before there is one as far as it is trained. Their jobs enter the graph."""
    begun = tuning_of(session, graph)
    recorded = (read_chosen(session.home) or {}).get("segmentation")
    if recorded is not None and session.experiment.sweep.segmentation is not None:
        return dict(recorded.get("arms", {}))
    return begun.to_dict() if begun is not None else {}


def why_untunable(experiment: Experiment) -> str:
    """Why the arms do not choose settings of their own; empty if they can."""
    if experiment.sweep.segmentation is None:
        return "sweep.segmentation is null"
    if experiment.mask.learns == "ct":
        return "mask.learns is 'ct'"
    return untunable(experiment)


def tuning_under(session: Session, chosen: Choice) -> Tuning:
    """The planner of the arms' choice under both stages' settings."""
    return Tuning(ReplicatePlanner(session.specs, session.store, chosen.mask, chosen.image))


def _tuning_base(session: Session, mask: MaskStageConfig, image: ImageStageConfig) -> str:
    """Digest of what the arms' choice of their settings depends on."""
    experiment = session.experiment
    measure = experiment.decision.measure
    return digest_of(
        [
            session.store.digest,
            to_dict(mask),
            to_dict(image),
            to_dict(experiment.synthesis),
            to_dict(experiment.segmentation),
            to_dict(experiment.sweep.segmentation) if experiment.sweep.segmentation else None,
            [experiment.sweep.seeds, experiment.sweep.seed],
            tuned_arms(experiment),
            *([] if measure == DICE.name else [measure]),  # choices by Dice are still the same
            session.specs.compute_of("segmenter"),
            experiment.seed,
        ]
    )


def need_validation(session: Session) -> None:
    """Whether there is somebody to choose the segmenters' settings by.

    Raises:
        DataError: no patient is for validation.
    """
    if "validation" not in session.roles.values():
        raise DataError(
            "the choice of the segmenters' settings needs validation patients, but no patient has "
            "that role; change data.roles, or set sweep.segmentation to null"
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

    session.console.heading("Choice of the segmenters' settings")
    found: TuningPlan = session.drive(plan)
    base = _tuning_base(session, settings.mask, settings.image)
    return {"base": base, "arms": found.to_dict()}
