"""The steps of a run, in order: prepare, sweep, compare, report. Each returns what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.errors import ConfigError
from harness.base.files import digest_of
from harness.compare.budget import at_budget
from harness.compare.decision import decide
from harness.compare.effect import Effect
from harness.compare.planning_facts import (
    assumed_spread,
    detectable_words,
    equivalence_words,
    plan_facts,
)
from harness.compare.protocol import Comparison, ComparisonPlan
from harness.compare.table import Table, read_scores
from harness.config.experiment import plain
from harness.config.stages import ImageStageConfig, MaskStageConfig
from harness.jobs.board import Board
from harness.metrics.inference import PATIENTS_FOR_INTERVAL, REPLICATES_FOR_INTERVAL
from harness.records.journal import series
from harness.sweep.chosen import newest_chosen, read_chosen, write_chosen
from harness.sweep.planner import StageSweep, SweepPlan
from harness.sweep.study import Study, study_name
from harness.workflow.session import Session
from harness.workflow.views import comparison_views, sweep_views


def prepare(session: Session) -> dict[str, Any]:
    """Look at the patients, give them roles, cut pairs; returns the prepare job's values."""
    store = session.store

    def plan(board: Board) -> dict[str, Any]:
        result = board.need(store, label="prepare pairs")
        return result["values"] if result else {}

    return session.drive(plan)  # type: ignore[no-any-return]


def sweep(session: Session, stages: Sequence[str]) -> list[SweepPlan]:
    """Run the sweeps of `stages` to their end, then freeze what they chose."""
    prepare(session)
    plans = [_sweep_stage(session, stage) for stage in stages]
    _choose(session)
    return plans


def stage_sweep(session: Session, stage: str) -> StageSweep:
    """The planner of one stage's study."""
    experiment = session.experiment
    settings = getattr(experiment.sweep, stage)
    if settings is None:
        raise ConfigError(
            f"a sweep of the {stage} stage needs sweep.{stage}, but it is null; give it a space"
        )
    path = session.root / "studies" / f"{stage}.db"
    study = Study(path, stage, experiment.sweep, settings, _base(session, stage))
    return StageSweep(stage, session.specs, session.store, study)


def _base(session: Session, stage: str) -> str:
    """Digest of what a study's scores depend on beside the settings it tries."""
    experiment = session.experiment
    return digest_of(
        [
            session.store.digest,
            plain(experiment.mask if stage == "mask" else experiment.image),
            dict(session.specs.extractor),
            dict(session.compute),
            experiment.metrics.images,
            experiment.seed,
        ]
    )


def _sweep_stage(session: Session, stage: str) -> SweepPlan:
    planner = stage_sweep(session, stage)

    def plan(board: Board) -> SweepPlan:
        found = planner.plan(board)
        session.views[f"sweep-{stage}"] = sweep_views(found, board)
        return found

    session.console.heading(f"Sweep of the {stage} stage ({planner.study.total()} trials)")
    return session.drive(plan)  # type: ignore[no-any-return]


def finished_sweeps(session: Session) -> list[SweepPlan]:
    """Sweeps that have trials, as far as studies and folders tell; asks and trains nothing."""
    plans = [
        stage_sweep(session, stage).look(session.board())
        for stage in ("mask", "image")
        if has_study(session, stage)
    ]
    return [plan for plan in plans if plan.trials]


def has_study(session: Session, stage: str) -> bool:
    """Whether the experiment sweeps a stage and some study of it was begun."""
    started = (session.root / "studies" / f"{stage}.db").exists()
    return getattr(session.experiment.sweep, stage) is not None and started


@dataclass(frozen=True)
class Choice:
    """Settings for the comparison, and where each came from."""

    mask: MaskStageConfig
    image: ImageStageConfig
    origin: Mapping[str, str]


def _choose(session: Session) -> Path | None:
    """Write `chosen.yaml` from the best trials of the finished sweeps.

    A stage whose sweep is not finished keeps the choice that it had.
    """
    choice: dict[str, Any] = read_chosen(session.home) or {}
    for plan in finished_sweeps(session):
        if not plan.finished:
            continue
        if plan.best is None:
            session.console.warn(
                f"every trial of the {plan.stage} sweep had a seed that failed to converge; the "
                "comparison will use the experiment's own settings for this stage"
            )
            choice.pop(plan.stage, None)
            continue
        planner = stage_sweep(session, plan.stage)
        choice[plan.stage] = {
            "study": plan.study,
            "trial": plan.best.number,
            plan.objective: plan.best.value,
            "params": dict(plan.best.params),
            "settings": plain(planner.settings_of(plan.best)),
        }
    if not choice and read_chosen(session.home) is None:
        return None
    before = newest_chosen(session.home)
    path = write_chosen(session.home, choice)
    if before is not None and path != before:
        session.console.warn(
            f"{path.name} differs from {before.name}: compare and report now go by it; earlier "
            "results stay, and come back when that file is removed"
        )
    return path


def choice(session: Session) -> Choice:
    """What the newest `chosen-*.yaml` says, the experiment's own settings where it says nothing."""
    experiment = session.experiment
    chosen = read_chosen(session.home) or {}
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
    return Choice(settings["mask"], settings["image"], origin)


@dataclass(frozen=True)
class Compared:
    """A finished comparison."""

    plan: ComparisonPlan
    table: Table
    effects: tuple[Effect, ...]
    choice: Choice


def compare(session: Session) -> Compared:
    """Train what is missing, open the test once, score, decide."""
    prepare(session)
    planner = comparison_of(session, choice(session))

    def plan(board: Board) -> ComparisonPlan:
        found = planner.plan(board)
        session.views["comparison"] = comparison_views(found, board, (), None)
        return found

    replicates = session.experiment.replicates.count
    session.console.heading(
        f"Comparison of {len(session.experiment.arms)} arms over {replicates} replicates"
    )
    for line in plan_lines(session):
        session.console.say(line)
    found = session.drive(plan)
    compared = read_comparison(session, found)
    session.views["comparison"] = comparison_views(found, session.board(), compared.effects, None)
    return compared


def plan_lines(session: Session) -> list[str]:
    """What the design can see, from the assumed standard deviations; said before training."""
    patients = sum(role == "test" for role in session.roles.values())
    replicates = session.experiment.replicates.count
    if patients < PATIENTS_FOR_INTERVAL or replicates < REPLICATES_FOR_INTERVAL:
        return []
    rule = session.experiment.decision
    spread = assumed_spread(rule)
    facts = plan_facts(spread, patients, replicates, rule.margin)
    assumed = (
        f"assumed sd of a difference: patients {spread.patient:g}, replicates "
        f"{spread.replicate:g}, residual {spread.residual:g} (decision.assumed)"
    )
    return [assumed, detectable_words(facts), equivalence_words(facts)]


def comparison_of(session: Session, chosen: Choice) -> Comparison:
    """The planner of the experiment's comparison."""
    if session.experiment.mask.learns == "ct":
        raise ConfigError(
            "a comparison needs masks from the mask stage, but mask.learns is 'ct'; set it to "
            "'mask'"
        )
    return Comparison(session.specs, session.store, chosen.mask, chosen.image, session.roles)


def begun_comparison(session: Session) -> ComparisonPlan | None:
    """The comparison as it stands if a job of it exists; trains nothing."""
    if session.experiment.mask.learns == "ct" or "test" not in session.roles.values():
        return None
    found = comparison_of(session, choice(session)).plan(session.board())
    specs = [
        spec
        for chain in found.chains
        for spec in (chain.mask, chain.image, *chain.segmenters.values())
        if spec is not None
    ]
    return found if any(session.work.job(spec).path.exists() for spec in specs) else None


def read_comparison(session: Session, plan: ComparisonPlan) -> Compared:
    """The table of a finished comparison and its decision."""
    cells = [
        cell
        for (arm, seed), spec in plan.tests.items()
        for cell in read_scores(session.work.job(spec).path / "scores.csv", arm, seed)
    ]
    table = Table(cells)
    rule = session.experiment.decision
    rising = at_budget(_validation_curves(session, plan), rule.margin)
    effects = decide(table, rule, extended=plan.extended, at_budget=rising)
    return Compared(plan, table, tuple(effects), choice(session))


def _validation_curves(session: Session, plan: ComparisonPlan) -> list[list[float]]:
    """Validation Dice by epoch of the primary comparison's segmenters."""
    rule = session.experiment.decision
    return [
        series(session.work.job(chain.segmenters[arm]).journal, "segmentation/validation_dice")[1]
        for chain in plan.chains
        for arm in (rule.baseline, rule.candidate)
    ]


def show_report(session: Session, page: Path) -> None:
    """Attach the page to the comparison's run."""
    plan = begun_comparison(session)
    if plan is not None and plan.finished:
        effects = read_comparison(session, plan).effects
        session.views["comparison"] = comparison_views(plan, session.board(), effects, page)
