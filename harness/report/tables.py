"""CSV tables beside the page, for whoever wants to compute with the numbers."""

from __future__ import annotations

from harness.base.files import csv_text
from harness.inference.effect import P_VALUES
from harness.metrics.collapse.verdict import SIGNS
from harness.report.data import ReportData
from harness.report.results import is_failed, patient_measures, seed_value, sweep_of, values_of
from harness.report.sweeps import further_names
from harness.sweep.plan import SweepPlan
from harness.sweep.planner import TOO_LARGE


def make_tables(data: ReportData) -> dict[str, str]:
    """CSV texts by file name, of every table that a page can have; "" where there are no data."""
    return {
        "scores.csv": _scores(data),
        "effects.csv": _effects(data) if data.effects else "",
        "doses.csv": _doses(data) if data.doses else "",
        "sweep-mask.csv": _sweep(sweep_of(data, "mask")),
        "sweep-image.csv": _sweep(sweep_of(data, "image")),
        "collapse.csv": _collapse(data) if data.verdicts else "",
        "patients.csv": _patients(data) if data.patients else "",
        "costs.csv": _costs(data) if data.ledger else "",
    }


def _scores(data: ReportData) -> str:
    if data.table is None or not data.table.cells:
        return ""
    tests = data.comparison.tests if data.comparison else {}
    return data.table.to_csv(patient_measures(data.work, tests, data.measured.name))


def _costs(data: ReportData) -> str:
    rows = [
        (kind, entry.get("jobs"), entry.get("seconds"))
        for kind, entry in sorted(data.ledger.items())
    ]
    return csv_text(("kind", "jobs", "seconds"), rows)


def _effects(data: ReportData) -> str:
    names = (
        "baseline", "candidate", "primary", "question", "measure", "status", "patients",
        "replicates", "mean",
        *P_VALUES, "comparisons", "sd_patient", "sd_replicate", "sd_residual", "detectable", "word",
    )  # fmt: skip
    intervals = [f"interval_{level}{end}" for end in ("", "_adjusted") for level in (95, 90)]
    ends = [
        f"{end}{name.removeprefix('interval_')}" for name in intervals for end in ("low", "high")
    ]
    head = (*names, *ends, "margin", "extended")
    rows = []
    for effect in data.effects:
        found = effect.to_dict()
        if data.extended:
            found |= {"word": "", **dict.fromkeys(P_VALUES)}
        values = [found[name] for name in names]
        values += [end for name in intervals for end in found[name] or (None,) * 2]
        rows.append((*values, data.experiment.decision.margin, data.extended))
    return csv_text(head, rows)


def _doses(data: ReportData) -> str:
    head = (
        "axis",
        "value",
        "declared",
        "baseline",
        "candidate",
        "mean",
        "low95",
        "high95",
        "replicates",
    )
    rows = [
        (d.axis, d.value, d.declared, d.baseline.mean, d.candidate.mean, d.mean,
         *(d.interval_95 or (None, None)), d.replicates)
        for d in data.doses
    ]  # fmt: skip
    return csv_text(head, rows)


def _sweep(sweep: SweepPlan | None) -> str:
    """A line per trial and seed."""
    if sweep is None or not sweep.trials:
        return ""
    params = list(dict.fromkeys(name for run in sweep.trials for name in run.trial.params))
    further = further_names(sweep)
    head = (
        "trial", *params, "epochs", "seed", sweep.objective, "converged", "status", "checkpoint_of",
        *(f"trial {name}" for name in further),
    )  # fmt: skip
    rows = []
    for run in sweep.trials:
        status = "failed" if is_failed(run) else "done"
        if run.trial.value is None:
            status = "under way"
        elif sweep.best is not None and sweep.best.number == run.trial.number:
            status = "chosen"
        for seed in run.seeds:
            values = values_of(seed.result)
            settings = [run.trial.params.get(name) for name in params]
            value = seed_value(seed, sweep.objective)
            rows.append((
                run.trial.number, *settings, run.epochs, seed.seed, value, values.get("converged"),
                TOO_LARGE if seed.too_large else status, run.trial.checkpoint_of,
                *(run.trial.further.get(name) for name in further),
            ))  # fmt: skip
    return csv_text(head, rows)


def _collapse(data: ReportData) -> str:
    """A line per judged seed; ratios are relative to real images."""
    seeds = [row for found in data.verdicts for row in found.seeds]
    params = list(dict.fromkeys(name for row in seeds for name in row.params))
    signs = [f"{name}_ratio" for name in SIGNS]
    head = (
        "stage", "trial", "seed", *params, "epochs", "verdict", *signs, "precision", "p",
        "journal_onset", "samples_since", "sentence", "job",
    )  # fmt: skip
    rows = [
        (
            row.stage, row.trial, row.seed, *(row.params.get(name) for name in params), row.epochs,
            row.word, *(row.ratios.get(name) for name in SIGNS), row.precision, row.p,
            row.onset, row.seen, row.sentence, row.job,
        )
        for row in seeds
    ]  # fmt: skip
    return csv_text(head, rows)


def _patients(data: ReportData) -> str:
    rows = [
        (p.patient, p.role, " ".join(p.structures), "; ".join(p.notes), p.excluded)
        for p in sorted(data.patients, key=lambda line: line.patient)
    ]
    return csv_text(("patient", "role", "structures", "notes", "excluded"), rows)
