"""What each command does with a session, and the plain data it answers with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.base.errors import ConfigError, DataError
from harness.base.files import read_json, write_text
from harness.base.registry import nearest
from harness.compare.summary import arm_means
from harness.config.experiment import Experiment
from harness.config.starter import starter
from harness.report.formats import counted, duration, size
from harness.report.index import check_folder, check_place, publish_index
from harness.report.page import write_report
from harness.report.readings import seed_value
from harness.report.sweeps import epochs_words
from harness.sweep.chosen import newest_chosen
from harness.sweep.costs import Costs, count_costs
from harness.sweep.epochs import count_epochs
from harness.sweep.planner import TOO_LARGE, SweepPlan, TrialRun
from harness.workflow import (
    audit,
    calibrate,
    calibrate_comparison,
    calibrate_comparison_words,
    choosing,
    choosing_words,
    compare_words,
    quality,
    steps,
)
from harness.workflow.arm_costs import arm_costs
from harness.workflow.collapse import judge_sweeps, lines, plain_verdicts, show_verdicts
from harness.workflow.dryrun import estimate
from harness.workflow.gather import gather
from harness.workflow.session import Session

STAGES = ("mask", "image", "segmentation")


def stages_of(word: str, experiment: Experiment) -> tuple[str, ...]:
    """The stages that `--stage` names: `all` are those that the experiment sweeps.

    Raises:
        ConfigError: no such stage, or the experiment has no sweep of it.
    """
    if word not in (*STAGES, "all"):
        near = nearest(word, (*STAGES, "all"))
        hint = f"; did you mean '{near}'?" if near else ""
        raise ConfigError(
            f"--stage must be mask, image, segmentation or all, but got '{word}'{hint}"
        )
    swept = swept_stages(experiment)
    wanted = swept if word == "all" else tuple(name for name in swept if name == word)
    if wanted:
        return wanted
    if word == "segmentation" and experiment.sweep.segmentation is not None:
        why = choosing.why_untunable(experiment)
        raise ConfigError(f"strength and share cannot be chosen here: {why}")
    paths = " or ".join(f"sweep.{name}" for name in (STAGES if word == "all" else (word,)))
    raise ConfigError(f"a sweep needs {paths}, but got null; give it a space of settings")


def swept_stages(experiment: Experiment) -> tuple[str, ...]:
    """What `harness sweep` would search: stages with a space, strength and share if they can be."""
    swept = (name for name in STAGES if getattr(experiment.sweep, name) is not None)
    why = choosing.why_untunable(experiment)
    return tuple(name for name in swept if name != "segmentation" or not why)


def prepare_data(session: Session) -> dict[str, Any]:
    """Prepare pairs and say what was kept, excluded and lost."""
    say = session.console.say
    if not session.looks.usable:  # which ends the command: the page says why
        say(f"quality page: {quality.write_page(session)}")
    values = steps.prepare(session)
    for look in session.looks.usable:
        for note in look.notes:
            say(f"{look.patient}: {note}")
    counts = values["patients"]
    left = len(session.looks.usable) - len(session.roles)
    words = [f"{number} {role}" for role, number in counts.items()]
    say("patients: " + ", ".join(words + [f"{left} not used (data.limit)"] * bool(left)))
    for role, numbers in values["pairs"].items():
        say(f"{role}: " + ", ".join(f"{number} {what}" for what, number in numbers.items()))
    for name, share in values["lost"].items():
        say(f"{name}: {100 * share:.2f} %")
    page = quality.write_page(session)
    say(f"{read_json(page.with_name('quality.json'))['summary']}; quality page: {page}")
    return {
        "store": str(session.work.job(session.store).path / "store"),
        "quality": str(page),
        "values": values,
        "excluded": [asdict(entry) for entry in session.looks.excluded],
        "notes": {look.patient: list(look.notes) for look in session.looks.usable if look.notes},
    }


def run_sweep(session: Session, stages: Sequence[str]) -> dict[str, Any]:
    """Prepare, sweep, print the trials, freeze the choice."""
    prepare_data(session)
    return _sweep(session, stages)


def _sweep(session: Session, stages: Sequence[str]) -> dict[str, Any]:
    costs: list[Costs] = []

    def ended(plan: SweepPlan) -> None:
        costs.append(count_costs(plan, session.work))
        _print_trials(session, plan, costs[-1])

    plans = steps.sweep(session, stages, ended)
    tuning = choosing.tuning_of(session) if "segmentation" in stages else None
    for line in choosing_words.lines(tuning) if tuning else []:
        session.console.say(line)
    chosen = newest_chosen(session.home)
    return {
        "chosen": str(chosen) if chosen else None,
        "sweeps": [_sweep_plain(plan, cost) for plan, cost in zip(plans, costs, strict=True)],
        "segmentation": tuning.plain() if tuning else None,
    }


def dry_run_sweep(session: Session, stages: Sequence[str]) -> dict[str, Any]:
    """What a sweep would train, how long and how large."""
    prepare_data(session)
    if "segmentation" in stages:
        choosing.need_validation(session)
    found = [estimate(session, stage) for stage in stages if stage != "segmentation"]
    if "segmentation" in stages:
        session.console.say(choosing_words.planned(session.experiment))
    for entry in found:
        session.console.say(entry["sentence"])
        if entry["warning"]:
            session.console.warn(entry["warning"])
    return {"plan": found}


def _print_trials(session: Session, plan: SweepPlan, costs: Costs) -> None:
    say = session.console.say
    say(f"{plan.stage} sweep, {plan.objective} on validation patients ({plan.direction}):")
    for run in plan.trials:
        mark = "*" if plan.best is not None and run.trial.number == plan.best.number else " "
        mark = "+" if mark == " " and run.trial.number in plan.front else mark
        value = "running" if run.trial.value is None else _mean_words(run, plan)
        failed = f", {counted(run.trial.failed_seeds, 'seed')} failed"
        value += failed if run.trial.failed_seeds else ""
        params = ", ".join(
            f"{name.split('.')[-1]} {value:.3g}"
            if isinstance(value, float)
            else f"{name.split('.')[-1]} {value}"
            for name, value in run.trial.params.items()
        )
        of = run.trial.readout_of
        passed = "" if of is None else f"; read out of trial {of}"
        passed += f"; {counted(run.pruned_seeds, 'seed')} left out" if run.pruned_seeds else ""
        value += "".join(f", {name} {mean:.4g}" for name, mean in run.trial.further.items())
        say(f" {mark} trial {run.trial.number:3d}: {value}  ({params}{passed})")
    for sentence in dict.fromkeys(run.too_large for run in plan.trials if run.too_large):
        say(f"{TOO_LARGE}: {sentence}")
    if plan.front:
        say("trials with + (and the chosen one) are on the Pareto front of the objectives")
    say(epochs_words(count_epochs(plan)))
    say(
        f"{duration(costs.trainings)} of trainings and {duration(costs.scores)} of scores on "
        f"workers, {size(costs.bytes)} of disk with saved states"
    )
    asked = sum(run.trial.readout_of is None for run in plan.trials)
    wanted = getattr(session.experiment.sweep, plan.stage).trials
    if plan.finished and asked < wanted and session.experiment.sweep.sampler != "grid":
        say(f"ended by sweep.budget after {asked} of {counted(wanted, 'trial')}")


def _mean(run: TrialRun, plan: SweepPlan) -> float | None:
    """Mean of the objective over a told trial's seeds; None if one gave no number."""
    values = [seed_value(seed, plan.objective) for seed in run.seeds]
    if run.trial.value is None or None in values:
        return None
    return run.trial.value


def _mean_words(run: TrialRun, plan: SweepPlan) -> str:
    mean = _mean(run, plan)
    if mean is None:
        return TOO_LARGE if run.too_large else "no number"
    return f"{mean:.4g}"


def _sweep_plain(plan: SweepPlan, costs: Costs) -> dict[str, Any]:
    return {
        "stage": plan.stage,
        "study": plan.study,
        "objective": plan.objective,
        "finished": plan.finished,
        "best": plan.best.number if plan.best else None,
        "front": plan.front,
        "trials": [
            {
                "number": run.trial.number,
                "params": dict(run.trial.params),
                "value": _mean(run, plan),
                "failed_seeds": run.trial.failed_seeds,
                "too_large": run.too_large or None,
                "readout_of": run.trial.readout_of,
                "pruned_seeds": run.pruned_seeds,
                "further": dict(run.trial.further),
            }
            for run in plan.trials
        ],
        "epochs": asdict(count_epochs(plan)),
        "costs": asdict(costs),
    }


def run_compare(session: Session) -> dict[str, Any]:
    """Compare, print the arms and the verdicts, write the scores."""
    compared = steps.compare(session)
    path = session.home / "scores.csv"
    write_text(path, compared.table.to_csv())
    say = session.console.say
    for stage, origin in compared.choice.origin.items():
        say(f"{stage}: {origin}" if stage == "segmentation" else f"{stage} stage: {origin}")
    board = session.board()
    costs = arm_costs(
        session,
        compared.plan,
        choosing.finished_sweeps(session, board),
        choosing.candidates_of(session, board),
    )
    for line in compare_words.table_lines(compared, costs):
        say(line)
    audits = audit.audit(session, compared.plan)
    for line in audit.lines(audits):
        say(line)
    for line in compare_words.dose_lines(compared):
        say(line)
    for line in compare_words.verdict_lines(compared):
        say(line)
    return {
        "scores": str(path),
        "audits": audits,
        "means": {entry.arm: entry.mean for entry in arm_means(compared.table)},
        "costs": [asdict(cost) for cost in costs],
        "effects": [asdict(effect) for effect in compared.effects],
        "doses": [asdict(dose) for dose in compared.doses],
        "verdicts": [effect.sentence for effect in compared.effects],
        "chosen": dict(compared.choice.origin),
    }


def run_collapse(session: Session) -> dict[str, Any]:
    """The verdict on every seed of the sweeps, its evidence on the page and in MLflow."""
    found = judge_sweeps(session)
    if not found:
        raise DataError(
            "collapse judges trainings of a sweep, but this experiment has none in this work "
            "folder; run harness sweep first"
        )
    page = write_page(session)
    show_verdicts(session, found, Path(page["report"]))
    for verdicts in found:
        for line in lines(verdicts):
            session.console.say(line)
    return {
        "verdict": " ".join(verdicts.sentence for verdicts in found),
        "collapsed": sum(row.collapsed for verdicts in found for row in verdicts.seeds),
        "stages": plain_verdicts(found),
        "report": page["report"] + "#collapse",
    }


def run_calibrate(session: Session, of: str, images: Sequence[int], repeats: int) -> dict[str, Any]:
    """Detection and false-alarm rates of one verdict in the user's own data."""
    found = calibrate.calibrate(session, of, images, repeats)
    for line in calibrate.lines(found["rates"]):
        session.console.say(line)
    return found


def run_calibrate_comparison(session: Session, repeats: int | None) -> dict[str, Any]:
    """False positives and power of the comparison as designed; None repeats it 20,000 times."""
    found = calibrate_comparison.calibrate_comparison(
        session, repeats or calibrate_comparison.REPEATS
    )
    for line in calibrate_comparison_words.lines(found):
        session.console.say(line)
    return found


def write_page(session: Session, publish: Path | None = None) -> dict[str, Any]:
    """Write the report of whatever is finished; also into the list of a folder of reports.

    Raises:
        ConfigError: a folder to publish in that cannot be written.
    """
    data = gather(session)
    page = write_report(data, session.home / "report")
    published = None
    if publish is not None:
        try:
            check_folder(publish)  # before anything is written into it
            check_place(publish / session.experiment.name, session.experiment.question)
            published = str(write_report(data, publish / session.experiment.name))
            publish_index(publish)
        except OSError as error:
            raise ConfigError(
                f"--publish must be a folder that can be written, but got '{publish}' "
                f"({error.strerror}); name another one"
            ) from error
    return {
        "report": str(page),
        "published": published,
        "finished": bool(data.comparison and data.comparison.finished),
        "verdicts": [effect.sentence for effect in data.effects],
    }


def run_all(session: Session) -> dict[str, Any]:
    """Everything that the experiment declares, in order."""
    experiment = session.experiment
    if not experiment.conclusive:
        session.console.warn("this experiment shows the path; it is too short to conclude")
    found = {"prepare": prepare_data(session)}
    stages = swept_stages(experiment)
    if stages:
        found["sweep"] = _sweep(session, stages)
    found["compare"] = run_compare(session)
    page = write_page(session)
    steps.show_report(session, Path(page["report"]))
    return {**found, **page}


def write_starter(root: Path, output: Path, name: str) -> None:
    """Write the starter experiment; an existing file is never overwritten."""
    if not root.is_dir():
        raise DataError(f"harness init needs an existing DICOM folder, but got '{root}'")
    if output.exists():
        raise ConfigError(f"'{output}' exists already; name another file with --output")
    try:
        write_text(output, starter(str(root), name))
    except OSError as error:
        raise ConfigError(
            f"--output must be a file that can be written, but got '{output}' "
            f"({error.strerror}); name another one"
        ) from error
