"""Files about a stage's sweep in the experiment's folder: figures, samples by setting, settings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness import __version__
from harness.base.files import digest_of, read_note, sha256_file, write_record, write_text
from harness.commands.session import Session
from harness.commands.shown_verdicts import draw_seeds
from harness.config.axes import AxisConfig
from harness.config.experiment import to_dict
from harness.figures.copies import write_png
from harness.figures.settings_grid import DPI
from harness.metrics.records import title_of
from harness.report.results import chosen_trial, seed_value
from harness.report.search import draw_search, draw_settings
from harness.sweep.plan import SweepPlan, TrialRun
from harness.tracking.views.sweep import SETTINGS

# Drawing on the way takes about 1 % of a sweep's time, and starts when the sweep is no short one.
TIME_RATIO = 100.0
FIRST_SECONDS = 300.0


def sweep_folder(session: Session, stage: str) -> Path:
    """Where the files about a stage's sweep lie."""
    return session.home / f"sweep-{stage}"


class SweepFiles:
    """Keeps the files about one stage's sweep up to date while it runs."""

    def __init__(self, session: Session, stage: str) -> None:
        self.folder = sweep_folder(session, stage)
        self._session = session
        self._space = getattr(session.experiment.sweep, stage).space
        self._next = time.monotonic() + FIRST_SECONDS
        self._warned = False

    def update(self, plan: SweepPlan, last: bool = False) -> None:
        """Draw what was told since the last time, if that costs little beside the trainings.

        Args:
            last: the sweep has ended: draw it in any case.
        """
        if not last and time.monotonic() < self._next:
            return
        began = time.monotonic()
        try:
            self._write(plan)
        except Exception as error:  # noqa: BLE001 - a figure must not stop hours of training
            if not self._warned:
                self._warned = True
                self._session.console.warn(
                    f"figures of the {plan.stage} sweep must be drawn, but got "
                    f"{type(error).__name__}: {error}; the sweep goes on without them"
                )
        ended = time.monotonic()
        self._next = ended + TIME_RATIO * (ended - began)

    def _write(self, plan: SweepPlan) -> None:
        """Write figures, the grid of samples and the best trial's settings; nothing before the
        first told trial, and nothing where they show these trials already."""
        shown = _content(plan, self._space)
        mark = self.folder / "drawn.json"
        if shown is None or read_note(mark) == {"of": shown, "files": self._sums()}:
            return
        for drawing in draw_search(plan, self._space):
            path = self.folder / f"{drawing.stem}.png"
            if drawing.figure is None:
                path.unlink(missing_ok=True)
            else:
                write_png(path, drawing.figure)
        crop = self._session.experiment.data.crop
        grid = draw_settings(self._session.work, crop, plan, self._space)
        if grid is not None and grid.figure is not None:
            write_png(self.folder / f"{grid.stem}.png", grid.figure, DPI)
        best = chosen_trial(plan)
        if best is not None:
            write_text(self.folder / SETTINGS, settings_text(plan, best))
        else:
            (self.folder / SETTINGS).unlink(missing_ok=True)
        draw_seeds(self._session, plan)
        write_record(mark, {"of": shown, "files": self._sums()})

    def _sums(self) -> dict[str, str]:
        """Of the files, as they are."""
        paths = [*self.folder.glob("*.png"), *self.folder.glob(SETTINGS)]
        return {path.name: sha256_file(path) for path in sorted(paths)}


def settings_text(plan: SweepPlan, run: TrialRun) -> str:
    """A trial's settings as the stage's section of an experiment file."""
    name = title_of(plan.objective)
    value = f", {name} {run.trial.value:.4g}" if run.trial.value is not None else ""
    head = f"# Trial {run.trial.number} of study {plan.study}{value}.\n"
    section = {plan.stage: to_dict(run.settings)}
    return head + yaml.safe_dump(section, sort_keys=False, allow_unicode=True)


def _content(plan: SweepPlan, space: Mapping[str, AxisConfig]) -> str | None:
    """Digest of what the files show; None before the first told trial."""
    told: list[Any] = [
        [
            run.trial.number,
            dict(run.trial.params),
            run.trial.failed_seeds,
            run.trial.checkpoint_of,
            [seed_value(seed, plan.objective) for seed in run.seeds],
        ]
        for run in plan.trials
        if run.trial.value is not None
    ]
    axes = {path: to_dict(axis) for path, axis in space.items()}
    best = plan.best.number if plan.best else None
    return digest_of([__version__, plan.study, axes, best, told]) if told else None
