"""`harness collapse`: the verdict on every seed of the sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.base.errors import DataError
from harness.base.text import DASH, aligned, counted, settings_text
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
        if not session.patients_known or not has_study(session, stage):
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


def lines(found: Verdicts) -> list[str]:
    """What the console says of a stage: a line per seed, how many collapsed and where, what to
    do."""
    rows = [("trial", "seed", "verdict", "since epoch", "setting")]
    rows += [
        (str(row.trial), str(row.seed), row.word, _since(row), settings_text(row.params))
        for row in found.seeds
    ]
    space = f"sweep.{found.stage}.space"
    bad = [row for row in found.seeds if row.collapsed]
    unclear = [row for row in found.seeds if row.word == "undecided"]
    text = [*aligned(rows, str.ljust), _summary(bad, found.seeds)]
    if found.caution:
        text.append(found.caution)
    if bad:
        text.append(f"The page has samples of every seed; narrow {space} and sweep again.")
    if unclear:
        text.append(f"{counted(len(unclear), 'seed')} undecided, the first: {unclear[0].sentence}")
    return text


def _since(row: SeedVerdict) -> str:
    """What showed it, and from which epoch on."""
    since = {"losses": row.onset, "samples": row.seen}
    return ", ".join(f"{n} ({what})" for what, n in since.items() if n is not None) or DASH


def _summary(bad: Sequence[SeedVerdict], seeds: Sequence[SeedVerdict]) -> str:
    """How many collapsed, and where others did not."""
    text = f"{len(bad)} of {counted(len(seeds), 'seed')} collapsed"
    common = _common(bad, seeds) if 0 < len(bad) < len(seeds) else ""
    if common:
        text += f", {'all ' if len(bad) > 1 else ''}{common}"
    return text + "."


def _common(bad: Sequence[SeedVerdict], seeds: Sequence[SeedVerdict]) -> str:
    """The trial that has the collapsed seeds, or settings that not all seeds have; "" for none."""
    if len({row.trial for row in bad}) == 1:
        return f"in trial {bad[0].trial}"
    told = {
        path: value
        for path, value in bad[0].params.items()
        if all(row.params.get(path) == value for row in bad)
        and any(row.params.get(path) != value for row in seeds)
    }
    return f"at {settings_text(told)}" if told else ""


def run_collapse(session: Session) -> dict[str, Any]:
    """The verdict on every seed of the sweeps, its evidence on the page and in MLflow."""
    found = judge_sweeps(session)
    if not found:
        sweep = session.experiment.sweep
        swept = sweep.mask is not None or sweep.image is not None
        raise DataError(
            "collapse judges trainings of a sweep, but this experiment has none in this work "
            "folder; "
            + ("run harness sweep first" if swept else "give sweep.mask or sweep.image a space")
        )
    page = write_page(session)
    show_verdicts(session, found, Path(page["report"]))
    for verdicts in found:
        session.console.heading(f"{verdicts.stage.capitalize()} stage")
        for line in lines(verdicts):
            session.console.say(line)
    return {
        "verdict": " ".join(verdicts.sentence for verdicts in found),
        "collapsed": sum(row.collapsed for verdicts in found for row in verdicts.seeds),
        "stages": {verdicts.stage: asdict(verdicts) for verdicts in found},
        "report": page["report"] + "#collapse",
    }
