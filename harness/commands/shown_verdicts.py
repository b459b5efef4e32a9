"""What a sweep leaves of its seeds' verdicts: a picture of every seed, and a run in MLflow."""

from __future__ import annotations

from pathlib import Path

from harness.commands.session import Session
from harness.figures.collapse import SeedPicture, seed_sheet
from harness.figures.copies import write_png
from harness.report.collapse import seed_runs
from harness.report.grids import last_samples
from harness.sweep.plan import SweepPlan
from harness.sweep.verdicts import sweep_verdicts
from harness.tracking.views.verdicts import collapse_view


def draw_seeds(session: Session, sweep: SweepPlan) -> None:
    """Draw samples of every seed under its verdict, as a PNG; nothing where no training kept
    any."""
    verdicts = sweep_verdicts(session.work, sweep, session.experiment.sweep.sampler)
    crop = session.experiment.data.crop
    pictures = [
        SeedPicture(image, run.name, row.word)
        for row, run in (seed_runs(sweep, verdicts) if verdicts is not None else ())
        if (image := last_samples(session.work, crop, run)) is not None
    ]
    if pictures:
        write_png(_sheet(session, sweep), seed_sheet(pictures))


def show_verdicts(session: Session, sweep: SweepPlan) -> None:
    """One run for the stage: rates, the sentence, a picture of every seed, the page if there is
    one."""
    verdicts = sweep_verdicts(session.work, sweep, session.experiment.sweep.sampler)
    if verdicts is not None:
        page = session.home / "report"
        files = [(page / "index.html", "report"), (page / "collapse.csv", "report")]
        files.append((_sheet(session, sweep), "samples"))
        session.views[f"collapse-{sweep.stage}"] = [collapse_view(verdicts, files)]


def _sheet(session: Session, sweep: SweepPlan) -> Path:
    return session.home / "collapse" / f"samples-{sweep.stage}.png"
