"""An experiment's results as data frames: the tables beside its page, and means over them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.base.console import Console
from harness.commands.gather import gather
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.jobs.folder import WorkFolder
from harness.report.data import ReportData
from harness.report.tables import make_tables


@dataclass(frozen=True)
class Results:
    """What is finished; a frame without rows where nothing is. Columns: docs/python.md.

    Attributes:
        scores: a row per test patient, replicate and arm, measures as columns.
        arms, replicates: means of `scores` over patients, by arm, and by arm and replicate.
        effects: comparisons of the decision rule; `doses` those at other doses.
        trials: a row per trial and seed of both stages' sweeps.
        collapse: a row per judged seed of a sweep.
        patients: everyone of the source, with role or the reason of an exclusion.
        costs: seconds by kind of job.
    """

    scores: pd.DataFrame
    arms: pd.DataFrame
    replicates: pd.DataFrame
    effects: pd.DataFrame
    doses: pd.DataFrame
    trials: pd.DataFrame
    collapse: pd.DataFrame
    patients: pd.DataFrame
    costs: pd.DataFrame


def results(workdir: str | Path, experiment: str | Path, overrides: Sequence[str] = ()) -> Results:
    """Read what a work folder holds of an experiment; trains nothing, waits for nothing.

    Args:
        workdir: the work folder, as of `--workdir`.
        experiment: its YAML file.
        overrides: "key=value", as of `--set`.

    Raises:
        ConfigError: the file breaks a rule, or the folder is of another format.
        DataError: there is no such work folder, or it knows of no patients.
    """
    folder = WorkFolder.existing(Path(workdir)).root
    loaded = load_experiment(Path(experiment), overrides)
    session = Session(loaded, folder, Console(quiet=True), reads_patients=False)
    return frames(gather(session))


def frames(data: ReportData) -> Results:
    """The tables of a page as data frames."""
    tables = {name: text for name, text in make_tables(data).items() if text}
    read = {
        name: pd.read_csv(io.StringIO(text), float_precision="round_trip")
        for name, text in tables.items()
    }
    sweeps = {s: read.get(f"sweep-{s}.csv") for s in ("mask", "image")}
    trials = [frame.assign(stage=stage) for stage, frame in sweeps.items() if frame is not None]
    scores = read.get("scores.csv", pd.DataFrame(columns=["patient", "replicate", "arm", "value"]))
    by_replicate = scores.drop(columns="patient").groupby(["arm", "replicate"], sort=False).mean()
    return Results(
        scores=scores,
        arms=by_replicate.groupby("arm", sort=False).mean().reset_index(),
        replicates=by_replicate.reset_index(),
        trials=pd.concat(trials, ignore_index=True) if trials else pd.DataFrame(),
        **{
            name: read.get(f"{name}.csv", pd.DataFrame())
            for name in ("effects", "doses", "collapse", "patients", "costs")
        },
    )
