"""Verdicts as runs to show: of a stage, of a replicate (its audit), and their calibration."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.jobs.graph import JobGraph
from harness.jobs.spec import Spec
from harness.metrics.collapse.verdict import COLLAPSED
from harness.sweep.verdicts import Verdicts
from harness.tracking.run_view import RunView
from harness.tracking.views.comparison import replicate_key
from harness.tracking.views.sweep import finished_part


def collapse_view(verdicts: Verdicts, files: Sequence[tuple[Path, str]] = ()) -> RunView:
    """A run of its own for the verdicts of one stage: counts, rates, files in their folders."""
    counts = Counter(row.word for row in verdicts.seeds)
    names = (*COLLAPSED, "healthy", "undecided")  # all: a later run of the command may lower one
    collapsed = f"{sum(counts[name] for name in COLLAPSED)} of {len(verdicts.seeds)}"
    summary = {f"collapse/{name.replace(' ', '_')}": float(counts[name]) for name in names}
    for rate in verdicts.axes if not verdicts.caution else ():
        if rate.of:
            name = f"collapse/share_{rate.axis.split('.')[-1]}_{rate.value}"
            summary[name] = rate.collapsed / rate.of
    return RunView(
        (f"collapse-{verdicts.stage}",),
        f"collapse {verdicts.stage}",
        tags={"kind": "collapse", "stage": verdicts.stage, "verdict": f"{collapsed} collapsed"},
        summary=summary,
        summary_time=verdicts.finished,
        note=" ".join(part for part in (verdicts.sentence, verdicts.caution) if part),
        artifacts=tuple(files),
        status="finished",
    )


def audit_views(specs: Mapping[int, Spec], graph: JobGraph) -> list[RunView]:
    """A run below each replicate for its audit: scores, verdicts, pictures of the closest pairs."""
    views = []
    for seed, spec in specs.items():
        result = graph.folder(spec).result()
        if result is None:
            continue
        values = result["values"]
        parts = [values[shows] for shows in ("mask", "ct") if shows in values]
        note = [part[of]["sentence"] for part in parts for of in ("collapse", "memorisation")]
        views.append(
            RunView(
                (*replicate_key(seed), "audit"),
                f"audit, replicate {seed}",
                replicate_key(seed),
                params={"seed": str(seed)},
                tags={"kind": "audit", "job": spec.digest},
                parts=(finished_part(graph.work, spec),),
                note="\n\n".join(note),
                status="finished",
            )
        )
    return views


def calibration_view(
    of: str, rows: Sequence[Mapping[str, Any]], finished: int, table: Path
) -> RunView:
    """A run for the detection and false-alarm rates of one verdict."""
    rates = {}
    for row in rows:
        name = re.sub(r"[^a-z0-9.]+", "_", f"{row['shows']} {row['planted']} n {row['n']}".lower())
        rates[f"calibration/{name}"] = row["detected"] / row["repeats"]
    return RunView(
        (f"calibration-{of}",),
        f"calibration {of}",
        tags={"kind": "calibration", "of": of},
        summary=rates,
        summary_time=finished,
        artifacts=((table, "calibration"),),
        status="finished",
    )
