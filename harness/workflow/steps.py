"""The steps of a run, in order: prepare, sweep, compare, report. Each returns what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.errors import ConfigError
from harness.base.files import digest_of
from harness.compare.decision import decide
from harness.compare.effect import Effect
from harness.compare.protocol import Comparison, ComparisonPlan
from harness.compare.table import Table, read_scores
from harness.config.experiment import plain
from harness.config.stages import ImageStageConfig, MaskStageConfig
from harness.jobs.board import Board
from harness.sweep.chosen import read_chosen, write_chosen
from harness.sweep.planner import StageSweep, SweepPlan
from harness.sweep.study import Study
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
    base = digest_of(
        [
            session.store.digest,
            plain(experiment.mask if stage == "mask" else experiment.image),
            dict(session.specs.extractor),
            dict(session.compute),
            experiment.metrics.images,
            experiment.seed,
        ]
    )
    path = session.root / "studies" / f"{stage}.db"
    study = Study(path, stage, experiment.sweep, settings, base)
    return StageSweep(stage, session.specs, session.store, study)


def _sweep_stage(session: Session, stage: str) -> SweepPlan:
    planner = stage_sweep(session, stage)

    def plan(board: Board) -> SweepPlan:
        found = planner.plan(board)
        session.views[f"sweep-{stage}"] = sweep_views(found, board)
        return found

    session.console.heading(f"Sweep of the {stage} stage ({planner.study.total()} trials)")
    return session.drive(plan)  # type: ignore[no-any-return]


def finished_sweeps(session: Session) -> list[SweepPlan]:
    """Sweeps as far as their studies and folders tell; trains nothing."""
    plans = []
    for stage in ("mask", "image"):
        started = (session.root / "studies" / f"{stage}.db").exists()
        if getattr(session.experiment.sweep, stage) is not None and started:
            plans.append(stage_sweep(session, stage).plan(session.board()))
    return plans


@dataclass(frozen=True)
class Choice:
    """Settings for the comparison, and where each came from."""

    mask: MaskStageConfig
    image: ImageStageConfig
    origin: Mapping[str, str]


def _choose(session: Session) -> Path | None:
    """Write `chosen.yaml` from the best trials of the finished sweeps."""
    choice: dict[str, Any] = {}
    for plan in finished_sweeps(session):
        if not plan.finished:
            continue
        if plan.best is None:
            session.console.warn(
                f"every trial of the {plan.stage} sweep had a seed that failed to converge; the "
                "comparison will use the experiment's own settings for this stage"
            )
            continue
        planner = stage_sweep(session, plan.stage)
        choice[plan.stage] = {
            "study": plan.study,
            "trial": plan.best.number,
            plan.objective: plan.best.value,
            "params": dict(plan.best.params),
            "settings": plain(planner.settings_of(plan.best)),
        }
    return write_chosen(session.home, choice) if choice else None


def choice(session: Session) -> Choice:
    """What the newest `chosen-*.yaml` says, the experiment's own settings where it says nothing."""
    experiment = session.experiment
    chosen = read_chosen(session.home) or {}
    settings: dict[str, Any] = {"mask": experiment.mask, "image": experiment.image}
    origin: dict[str, str] = {}
    for stage in ("mask", "image"):
        if stage in chosen and getattr(experiment.sweep, stage) is not None:
            kind = type(settings[stage])
            settings[stage] = kind.model_validate(chosen[stage]["settings"])
            origin[stage] = f"trial {chosen[stage]['trial']} of study {chosen[stage]['study']}"
        else:
            origin[stage] = "the experiment's own settings"
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
    chosen = choice(session)
    planner = comparison_of(session, chosen)

    def plan(board: Board) -> ComparisonPlan:
        found = planner.plan(board)
        session.views["comparison"] = comparison_views(found, board, (), None)
        return found

    replicates = session.experiment.replicates.count
    session.console.heading(
        f"Comparison of {len(session.experiment.arms)} arms over {replicates} replicates"
    )
    found = session.drive(plan)
    compared = read_comparison(session, found, chosen)
    session.views["comparison"] = comparison_views(found, session.board(), compared.effects, None)
    return compared


def comparison_of(session: Session, chosen: Choice) -> Comparison:
    """The planner of the experiment's comparison."""
    if session.experiment.mask.learns == "ct":
        raise ConfigError(
            "a comparison needs masks from the mask stage, but mask.learns is 'ct'; set it to "
            "'mask'"
        )
    return Comparison(session.specs, session.store, chosen.mask, chosen.image, session.roles)


def finished_comparison(session: Session) -> Compared | None:
    """The comparison if all of it is there; trains nothing."""
    chosen = choice(session)
    found = comparison_of(session, chosen).plan(session.board())
    return read_comparison(session, found, chosen) if found.finished else None


def read_comparison(session: Session, plan: ComparisonPlan, chosen: Choice) -> Compared:
    """The table of a finished comparison and its decision."""
    cells = [
        cell
        for (arm, seed), spec in plan.tests.items()
        for cell in read_scores(session.work.job(spec).path / "scores.csv", arm, seed)
    ]
    table = Table(cells)
    effects = decide(table, session.experiment.decision, extended=plan.extended)
    return Compared(plan, table, tuple(effects), chosen)


def show_report(session: Session, page: Path) -> None:
    """Attach the page to the comparison's run."""
    compared = finished_comparison(session)
    if compared is not None:
        session.views["comparison"] = comparison_views(
            compared.plan, session.board(), compared.effects, page
        )
