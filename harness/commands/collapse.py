"""`harness collapse`: the verdict on every seed of the sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.base.errors import DataError
from harness.base.text import counted, settings_text
from harness.commands.chosen_settings import finished_sweeps, has_study, stage_sweep
from harness.commands.report import write_page
from harness.commands.session import Session
from harness.commands.sweep_files import sweep_folder
from harness.figures.collapse import SeedPicture, seed_sheet
from harness.figures.copies import write_png
from harness.report.collapse import seed_runs
from harness.report.grids import last_samples
from harness.sweep.plan import SweepPlan
from harness.sweep.verdicts import SeedVerdict, Verdicts, sweep_verdicts
from harness.tracking.views.sweep import sweep_views
from harness.tracking.views.verdicts import collapse_view


def judge_sweeps(session: Session) -> list[Verdicts]:
    """Verdicts on every seed of the sweeps that has trained to its trial's end.

    Trains nothing; scores that an earlier version stored without a verdict are made again.
    """
    found = []
    for stage in ("mask", "image"):
        if not has_study(session, stage):
            continue
        planner = stage_sweep(session, stage)
        plan = session.drive(planner.rescore)
        large = sum(bool(seed.too_large) for _, seed in plan.seeds())
        if large:
            session.console.warn(
                f"{counted(large, 'training')} of the {stage} sweep did not fit the memory and "
                f"{'has' if large == 1 else 'have'} no verdict"
            )
        verdicts = sweep_verdicts(session.work, plan, session.experiment.sweep.sampler)
        if verdicts is not None:
            session.views[f"sweep-{stage}"] = sweep_views(
                plan, session.graph(), sweep_folder(session, stage)
            )
            found.append(verdicts)
    return found


def show_verdicts(session: Session, found: Sequence[Verdicts], page: Path) -> None:
    """One MLflow run per stage: rates, the sentence, the page, a picture of every seed."""
    sweeps = {sweep.stage: sweep for sweep in finished_sweeps(session)}
    views = []
    for verdicts in found:
        files = [(page, "report"), (page.parent / "collapse.csv", "report")]
        sheet = _sheet(session, sweeps[verdicts.stage], verdicts)
        views.append(collapse_view(verdicts, [*files, *([(sheet, "samples")] if sheet else [])]))
    session.views["collapse"] = views


def _sheet(session: Session, sweep: SweepPlan, verdicts: Verdicts) -> Path | None:
    """Samples of every seed under its verdict, as a PNG; None where no training kept any."""
    crop = session.experiment.data.crop
    pictures = []
    for row, run in seed_runs(sweep, verdicts):
        image = last_samples(session.work, crop, run)
        if image is not None:
            pictures.append(SeedPicture(image, run.name, row.word))
    if not pictures:
        return None
    path = session.home / "collapse" / f"samples-{verdicts.stage}.png"
    write_png(path, seed_sheet(pictures))
    return path


def lines(verdicts: Verdicts) -> list[str]:
    """What the console says after the verdict: settings, then the seeds that collapsed."""
    text = [verdicts.caution] if verdicts.caution else []
    by_trial = {row.trial: row for row in verdicts.seeds}
    for rate in verdicts.settings:
        row = by_trial[rate.value]
        share = f"{rate.collapsed} of {counted(rate.of, 'seed')} collapsed"
        if rate.interval is not None:
            low, high = (round(100 * end) for end in rate.interval)
            share += f" (95 % interval {low} to {high} %)"
        counts = ", ".join(f"{count} {verdict}" for verdict, count in rate.words.items())
        text.append(f"trial {rate.value} ({settings_text(row.params)}): {share}: {counts}")
    text += [
        f"trial {row.trial} seed {row.seed}: {row.sentence}{_since(row)}"
        for row in verdicts.seeds
        if row.collapsed
    ]
    return text


def _since(row: SeedVerdict) -> str:
    if row.onset is not None or row.seen is None:
        return ""
    return f" Seen at every scored epoch from {row.seen} on."


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
        "stages": {verdicts.stage: asdict(verdicts) for verdicts in found},
        "report": page["report"] + "#collapse",
    }
