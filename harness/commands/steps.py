"""The steps of a run, in order: prepare, sweep, compare, report. Each returns what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from harness.base.errors import ConfigError, DataError
from harness.base.text import counted, percent, size
from harness.commands.chosen_settings import Choice, choice, choose, stage_sweep
from harness.commands.looks import finds_an_effect, looked_at_before
from harness.commands.session import Session
from harness.commands.shown_verdicts import show_verdicts
from harness.commands.sweep_files import SweepFiles
from harness.commands.sweep_text import trial_line
from harness.compare.protocol import Comparison, ComparisonPlan, Level
from harness.compare.subgroups import declare_subgroups
from harness.compare.user_register import (
    EarlierOpenings,
    earlier_openings,
    enter_openings,
    folder_openings,
)
from harness.config.arms import arm_of
from harness.data.pairs.store import Store
from harness.inference.budget import FACTORS, NOT_ASKED, Budget, judge_budget
from harness.inference.co_primaries import decide_together
from harness.inference.cohorts import Cohorts, mean_overlap
from harness.inference.crossed_t import (
    PATIENTS_FOR_INTERVAL,
    PATIENTS_FOR_VERDICT,
    REPLICATES_FOR_INTERVAL,
    REPLICATES_FOR_VERDICT,
)
from harness.inference.design import (
    assumed_components,
    detectable_words,
    equivalence_words,
    plan_facts,
)
from harness.inference.dose import Dose, doses
from harness.inference.effect import Effect
from harness.inference.failures import ArmFailures, arm_failures
from harness.inference.learning_curve import Worth, worth
from harness.inference.subgroups import Factor, subgroup_effects
from harness.inference.table import Table
from harness.jobs.graph import JobGraph
from harness.report.results import measured_tables
from harness.sweep.plan import SweepPlan
from harness.sweep.retention import drop_states
from harness.tracking.views.comparison import comparison_views
from harness.tracking.views.sweep import sweep_views
from harness.work.prepare.kept_scan import drop_kept

LOST = 0.05
"""Share of a role's structure outside frames from which on it is warned of."""


def prepare(session: Session) -> dict[str, Any]:
    """Look at the patients, give them roles, cut pairs; returns the prepare job's values."""
    store = session.store
    _need_patients(session)

    def plan(graph: JobGraph) -> dict[str, Any]:
        result = graph.need(store, label="prepare pairs")
        return result["values"] if result else {}

    values: dict[str, Any] = session.drive(plan)
    drop_kept(session.root / "patient-index")
    _heed_losses(session, values["lost"])
    return values


def prepared(session: Session) -> dict[str, Any]:
    """`prepare`, as the work folder's owner, where pairs are still to be cut; where they are there,
    nothing is changed."""
    result = session.graph().need(session.store)
    if result is None:
        with session.open(track=False):
            return prepare(session)
    _heed_losses(session, result["values"]["lost"])
    return dict(result["values"])


def _need_patients(session: Session) -> None:
    """Refuse GAN stages that are to learn from more patients than train.

    Raises:
        ConfigError: one is.
    """
    there = sum(role == "train" for role in session.roles.values())
    for stage in ("mask", "image"):
        asked = [getattr(session.experiment, stage).patients or 0]
        sweep = getattr(session.experiment.sweep, stage)
        axis = sweep.space.get("patients") if sweep is not None else None
        if axis is not None:
            asked += [int(value) for value in axis.values or axis.ends]
        if max(asked) > there:
            raise ConfigError(
                f"{stage}.patients must be at most the {there} patients that train, but got "
                f"{max(asked)}; lower it, or give the training role more patients"
            )


def _heed_losses(session: Session, lost: Mapping[str, float]) -> None:
    """Warn of structures of which frames leave a part out.

    Raises:
        DataError: of a role's patients they hold nothing.
    """
    of_frames = {name: share for name, share in lost.items() if "mask crop" not in name}
    whole = [f"{name}: {percent(n)}" for name, n in of_frames.items() if n > 1 - LOST]
    if whole:
        raise DataError(
            f"frames must hold the structure, but got {whole[0]}; a frame lies where "
            "training patients have the structure, and these have it elsewhere; take a structure "
            "with a place of its own in the body, more training patients, or a larger "
            "data.crop.frame_px or data.spacing_mm"
        )
    for name, share in of_frames.items():
        larger = "a larger data.crop.frame_px or data.spacing_mm takes more in"
        if "slice range" in name:  # of all training patients, and a little more
            larger = "training patients have it in fewer slices, and more of them take more in"
        if share > LOST:
            session.console.warn(f"{name}: {percent(share)}, which no network sees; {larger}")


def sweep(
    session: Session, stages: Sequence[str], ended: Callable[[SweepPlan], None] = lambda plan: None
) -> list[SweepPlan]:
    """Run the sweeps of `stages` to their end, then freeze what they chose.

    "segmentation" among them has no study: the arms choose their settings after both stages.

    Args:
        ended: called with each stage's sweep when it ends, before the next one begins.
    """
    prepare(session)
    plans = []
    for stage in stages:
        if stage != "segmentation":
            plans.append(_sweep_stage(session, stage))
            ended(plans[-1])
    choose(session, "segmentation" in stages)
    _tidy(session, plans)
    for plan in plans:  # after the choice: a figure must not come between
        _show_sweep(session, plan, SweepFiles(session, plan.stage), last=True)
    return plans


def _tidy(session: Session, plans: Sequence[SweepPlan]) -> None:
    """Drop what only a sweep that goes on would need; one that its budget ended may go on."""
    freed = sum(drop_states(plan, session.work) for plan in plans if plan.complete)
    if freed:
        session.console.say(
            f"{size(freed)} of saved states freed: every trial is told, nothing goes on from them"
        )


def _sweep_stage(session: Session, stage: str) -> SweepPlan:
    planner = stage_sweep(session, stage)
    files = SweepFiles(session, stage)
    told = {trial.number for trial in planner.study.trials() if trial.value is not None}
    asked = len(planner.study.asked())

    def plan(graph: JobGraph) -> SweepPlan:
        nonlocal asked
        found = planner.plan(graph)
        if session.forecast is not None and len(planner.study.asked()) > asked:
            session.forecast.renew()
        asked = len(planner.study.asked())
        for run in found.trials:
            if run.trial.value is not None and run.trial.number not in told:
                told.add(run.trial.number)
                session.console.say(trial_line(run, found))
        _show_sweep(session, found, files)
        return found

    seeds = counted(session.experiment.sweep.seeds, "seed")
    trials = counted(planner.study.total(), "trial")
    session.console.heading(f"Sweep of the {stage} stage ({trials} of {seeds})")
    return session.drive(plan)  # type: ignore[no-any-return]


def _show_sweep(session: Session, plan: SweepPlan, files: SweepFiles, last: bool = False) -> None:
    """Bring the sweep's files and its runs in MLflow up to date."""
    files.update(plan, last)
    session.views[f"sweep-{plan.stage}"] = sweep_views(plan, session.graph(), files.folder)
    if last:
        show_verdicts(session, plan)


@dataclass(frozen=True)
class Compared:
    """A finished comparison; `earlier`: openings of its test patients in other work folders;
    `further`: tables of the measures that are primary too."""

    plan: ComparisonPlan
    table: Table
    effects: tuple[Effect, ...]
    choice: Choice
    earlier: EarlierOpenings
    doses: tuple[Dose, ...] = ()
    budget: Budget = NOT_ASKED
    failures: tuple[ArmFailures, ...] = ()
    worth: tuple[Worth, ...] = ()
    subgroups: tuple[Factor, ...] = ()
    further: Mapping[str, Table] = field(default_factory=dict)


def compare(session: Session) -> Compared:
    """Train what is missing, evaluate on the test patients once, decide."""
    prepare(session)
    planner = comparison_of(session, choice(session))
    measured = session.experiment.decision.measured
    trouble = ""

    def plan(graph: JobGraph) -> ComparisonPlan:
        nonlocal trouble
        found = planner.plan(graph)
        if found.opening is not None:  # entered before a test score is submitted
            trouble = enter_openings(session.root)
        session.views["comparison"] = comparison_views(found, graph, (), None, measured)
        return found

    arms = counted(len(session.experiment.arms), "arm")
    replicates = counted(session.experiment.replicates.count, "replicate")
    session.console.heading(f"Comparison of {arms} over {replicates}")
    for line in (*plan_lines(session), *_same_doses(session, planner)):
        session.console.say(line)
    for line in (*floor_words(session), *extension_words(session)):
        session.console.warn(line)
    found = session.drive(plan)
    compared = read_comparison(session, found, trouble)
    session.views["comparison"] = comparison_views(
        found, session.graph(), compared.effects, None, measured
    )
    return compared


def _same_doses(session: Session, planner: Comparison) -> list[str]:
    """Synthetic fractions asked for as doses that are the declared comparison's own."""
    settings = planner.replicates.settings_of(planner.experiment.decision.primary[1])
    return [
        f"dose_response.synthetic_fraction {fraction:g}: the declared comparison fills as many "
        "places of a batch; it is not trained twice, and stands among the doses as declared"
        for fraction in session.experiment.dose_response.synthetic_fraction
        if settings.extra_slots(fraction) == settings.extra_slots()
    ]


def plan_lines(session: Session) -> list[str]:
    """What the design can see, from the assumed standard deviations; said before training."""
    patients = sum(role == "test" for role in session.roles.values())
    replicates = session.experiment.replicates.count
    if patients < PATIENTS_FOR_INTERVAL or replicates < REPLICATES_FOR_INTERVAL:
        return []
    rule = session.experiment.decision
    components = assumed_components(rule)
    overlap = cohorts_of(session).overlap
    facts = plan_facts(components, patients, replicates, rule.margin, overlap)
    assumed = (
        f"assumed sd of a difference in {rule.measured.words}: patients {components.patient:g}, "
        f"replicates {components.replicate:g}, residual {components.residual:g} (decision.assumed)"
    )
    return [assumed, detectable_words(facts), equivalence_words(facts)]


def floor_words(session: Session) -> list[str]:
    """Why a comparison that means to conclude will have no verdict, however it turns out."""
    patients = sum(role == "test" for role in session.roles.values())
    replicates = session.experiment.replicates.count
    enough = patients >= PATIENTS_FOR_VERDICT and replicates >= REPLICATES_FOR_VERDICT
    if enough or not session.experiment.conclusive:
        return []
    return [
        f"no verdict can come of this: it needs {PATIENTS_FOR_VERDICT} test patients and "
        f"{REPLICATES_FOR_VERDICT} replicates or more, but there are {patients} and {replicates} "
        "(data.roles, replicates.count)"
    ]


def extension_words(session: Session) -> list[str]:
    """Why a comparison will be an extension, as far as that is known: its test patients were opened
    in this work folder, under another rule or for other segmenters."""
    patients = [digest for digest, role in session.roles.items() if role == "test"]
    days = folder_openings(session.root, patients)
    if not days:
        return []
    planner = comparison_of(session, choice(session))
    planned = planner.plan(session.graph())
    if planned.opening is None:  # some of what it opened may have to be made again
        planned = planner.plan(session.graph(), ahead=True)
    if planned.opening is not None and session.work.job(planned.opening).path.exists():
        return []
    return [
        f"the test patients were opened in this work folder on {days[-1]}, under another rule or "
        "for other segmenters: this comparison will be an extension, without a verdict; for one, "
        "take other test patients"
    ]


def validation_words(session: Session) -> list[str]:
    """Why the generators will have no scores, where frames left too few validation pairs."""
    experiment = session.experiment
    swept = experiment.sweep.mask is not None or experiment.sweep.image is not None
    if not swept and not any(arm_of(name).pairs.stages for name in experiment.arms):
        return []
    store = Store.open(session.work.job(session.store).verified() / "store")
    left = len(store.select(role="validation", selected=True, with_structure=True))
    if left >= 2:
        return []
    return [
        "scores of the generators need at least 2 validation pairs that hold the structure, but "
        f"there {'is 1' if left else 'is none'}: a sweep or comparison will be refused; give the "
        "validation role more patients (data.roles.validation)"
    ]


def need_masks(session: Session) -> None:
    """Refuse a comparison whose mask stage makes no masks, before patients are read.

    Raises:
        ConfigError: `mask.learns` is 'ct'.
    """
    if session.experiment.mask.learns == "ct":
        raise ConfigError(
            "a comparison needs masks from the mask stage, but mask.learns is 'ct'; set it to "
            "'mask'"
        )


def comparison_of(session: Session, chosen: Choice) -> Comparison:
    """The planner of the experiment's comparison."""
    need_masks(session)
    rule, patients = session.experiment.decision, session.patient_index.usable
    groups = declare_subgroups(rule, patients, session.roles)
    before, found = partial(looked_at_before, session), partial(finds_an_effect, session)
    return Comparison(chosen.replicates(session), session.roles, groups, before, found)


def begun_comparison(session: Session, graph: JobGraph | None = None) -> ComparisonPlan | None:
    """The comparison as it stands if a job of it exists; trains nothing."""
    if session.experiment.mask.learns == "ct" or "test" not in session.roles.values():
        return None
    found = comparison_of(session, choice(session)).plan(graph or session.graph())
    levels = [replicate for level in found.levels for replicate in level.replicates]
    specs = [
        spec
        for replicate in (*found.replicates, *levels)
        for spec in (*(t.steady for t in replicate.stages.values()), *replicate.segmenters.values())
    ]
    return found if any(session.work.job(spec).path.exists() for spec in specs) else None


def read_comparison(session: Session, plan: ComparisonPlan, trouble: str = "") -> Compared:
    """The table of a finished comparison and its decision.

    Args:
        trouble: why its opening could not be entered in the user's register.
    """
    rule, chosen = session.experiment.decision, choice(session)
    cohorts = cohorts_of(session, chosen)
    tables = measured_tables(session.work, plan.tests, cohorts)
    means = tables.pop("mean")
    table = means[rule.measure]
    failures = arm_failures(table, tables, rule.measured.lower_is_better)
    groups = comparison_of(session, chosen).subgroups
    names = {patient.digest: patient.patient for patient in session.patient_index.usable}
    sides = {name: by[rule.measure] for name, by in tables.items()}
    subgroups = subgroup_effects(table, rule.primary, groups, names, sides, plan.extended)
    budget = _budget(session, plan)
    effects = decide_together(
        means, rule, plan.extended, not budget.sufficient, failures, plan.looked_at
    )
    scored = [
        (p.level, measured_tables(session.work, p.tests, _of_level(p.level, cohorts))["mean"])
        for p in plan.levels
    ]
    levels = [(level.axis, level.value, by[rule.measure]) for level, by in scored]
    candidate = chosen.replicates(session).settings_of(rule.primary[1])
    declared = {
        "patients": comparison_of(session, chosen).size,
        "synthetic_fraction": candidate.synthetic_fraction,
    }
    assert plan.opening is not None
    opened = session.work.job(plan.opening).result()
    assert opened is not None
    entry = {name: opened["values"][name] for name in ("patients", "rule", "segmenters")}
    earlier = earlier_openings(session.root, **entry, trouble=trouble)
    found = doses(table, declared, levels, rule)
    curve = {int(value): cells for axis, value, cells in levels if axis == "patients"}
    worths: list[Worth] = []
    if curve:
        lower, baseline = rule.measured.lower_is_better, rule.primary[0]
        arms = dict.fromkeys((rule.primary[1], *session.experiment.learning_curve.arms))
        curve[int(declared["patients"])] = table
        worths = [w for arm in arms if arm != baseline for w in worth(curve, baseline, arm, lower)]
    return Compared(
        plan,
        table,
        tuple(effects),
        chosen,
        earlier,
        found,
        budget,
        failures,
        tuple(worths),
        subgroups,
        {name: means[name] for name in rule.co_primary},
    )


def cohorts_of(session: Session, chosen: Choice | None = None) -> Cohorts:
    """Whose training patients the replicates have."""
    cohorts = comparison_of(session, chosen or choice(session)).cohorts
    way = session.experiment.replicates.cohorts
    return Cohorts(way, len(cohorts[0]), mean_overlap(cohorts)) if cohorts else Cohorts()


def _of_level(level: Level, cohorts: Cohorts) -> Cohorts:
    """Whose training patients the replicates of a dose have."""
    return Cohorts("disjoint", len(level.cohorts[0])) if level.cohorts else cohorts


def _budget(session: Session, plan: ComparisonPlan) -> Budget:
    """Whether the declared updates were shown to suffice."""
    if not plan.budget.scores:
        return NOT_ASKED
    updates, rule = session.experiment.segmentation.updates, session.experiment.decision
    tables = {
        factor: measured_tables(session.work, plan.budget.scores[factor])["mean"][rule.measure]
        for factor in FACTORS
    }
    return judge_budget(tables, updates, rule.margin, rule.measured)


def show_report(session: Session, page: Path) -> None:
    """Attach the page to the comparison's run."""
    plan = begun_comparison(session)
    if plan is not None and plan.finished:
        effects = read_comparison(session, plan).effects
        session.views["comparison"] = comparison_views(
            plan, session.graph(), effects, page, session.experiment.decision.measured
        )
