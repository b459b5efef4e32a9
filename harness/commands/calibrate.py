"""`harness calibrate`: what the verdicts detect in the user's own data, and false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.base.errors import DataError
from harness.base.files import csv_text, write_text
from harness.commands import steps
from harness.commands.session import Session
from harness.jobs.graph import JobGraph
from harness.tracking.views.verdicts import calibration_view

HEAD = ("shows", "planted", "kind", "n", "repeats", "detected", "rate", "low", "high", "verdicts")
SHOWN = {"mask": "masks", "ct": "CT frames", "ct-crop": "CT crops"}


def calibrate_verdict(
    session: Session, of: str, images: Sequence[int], repeats: int
) -> dict[str, Any]:
    """Plant failures in the real images, judge them; store, print, log and return the rates.

    Args:
        of: "collapse" or "memorisation".
        images: numbers of synthetic images to try.
        repeats: deals of the patients, per number of images.

    Raises:
        DataError: the data are too few for any of it.
    """
    steps.prepare(session)
    shown = ("ct-crop",) if session.experiment.mask.learns == "ct" else ("mask", "ct")
    specs = [
        session.specs.calibration(session.store, of, shows, n, repeats)
        for shows in shown
        for n in images
    ]

    def plan(graph: JobGraph) -> list[dict[str, Any] | None]:
        words = "calibrate {of}, {images} {shown}"
        return [
            graph.need(spec, label=words.format(**spec.config, shown=SHOWN[spec.config["shows"]]))
            for spec in specs
        ]

    results = session.drive(plan)
    rows: list[dict[str, Any]] = []
    reasons = []
    for spec, result in zip(specs, results, strict=True):
        values = result["values"]
        if "reason" in values:
            reasons.append(f"{SHOWN[spec.config['shows']]}: {values['reason']}")
        rows += [{"shows": spec.config["shows"], **cell} for cell in values.get("cells", ())]
    for reason in reasons:
        session.console.warn(reason)
    if not rows:
        raise DataError(
            "a calibration needs more real patients than this experiment has ("
            + "; ".join(reasons)
            + "); give it more patients"
        )
    path = session.home / f"calibration-{of}.csv"
    write_text(path, table(rows))
    measured = max(int(result["finished"] * 1000) for result in results)  # ms since 1970
    session.views[f"calibration-{of}"] = [calibration_view(of, rows, measured, path)]
    for line in lines(rows):
        session.console.say(line)
    return {
        "of": of,
        "verdict": sentence(of, rows),
        "rates": rows,
        "left_out": reasons,
        "table": str(path),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    return csv_text(
        HEAD,
        (
            (
                *(row[name] for name in HEAD[:6]),
                *(f"{value:.4f}" for value in (_rate(row), row["low"], row["high"])),
                "; ".join(f"{count} {verdict}" for verdict, count in row["words"].items()),
            )
            for row in rows
        ),
    )


def sentence(of: str, rows: Sequence[dict[str, Any]]) -> str:
    """The worst cell of each kind, in words."""
    failures = [row for row in rows if row["kind"] == "failure"]
    honest = [row for row in rows if row["kind"] == "honest"]
    missed = min(failures, key=_rate)
    alarms = max(honest, key=_rate)
    return (
        f"{of}: every planted failure is detected in at least {_percent(missed)} of repeats "
        f"(least: {missed['planted']}, {missed['n']} {SHOWN[missed['shows']]}); honest fresh "
        f"patients are accused in at most {_percent(alarms)} ({alarms['n']} "
        f"{SHOWN[alarms['shows']]})."
    )


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line per cell."""
    kinds = {"failure": "", "subtle": " (limit)", "honest": " (should pass)"}
    return [
        f"{SHOWN[row['shows']]:10s} n {row['n']:4d}  {row['planted'] + kinds[row['kind']]:34s} "
        f"{_percent(row)}"
        for row in rows
    ]


def _rate(row: dict[str, Any]) -> float:
    return float(row["detected"] / row["repeats"])


def _percent(row: dict[str, Any]) -> str:
    ends = f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"
    return f"{100 * _rate(row):.1f} % (95 % interval {ends}; {row['repeats']} repeats)"
