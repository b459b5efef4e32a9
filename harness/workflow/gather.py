"""Gather what is finished into the data of a report."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import harness
from harness.base.files import digest_of, read_json
from harness.config.render import sanitised
from harness.records.folder import WorkFolder, versions
from harness.report.data import PatientLine, ReportData
from harness.report.formats import counted
from harness.sweep.chosen import read_chosen
from harness.workflow import choosing, steps
from harness.workflow.arm_costs import arm_costs
from harness.workflow.audit import audit_folders, read_audits
from harness.workflow.collapse import read_verdicts
from harness.workflow.session import Session


def gather(session: Session) -> ReportData:
    """Everything that is finished; trains nothing."""
    plan = steps.begun_comparison(session)
    compared = steps.read_comparison(session, plan) if plan and plan.finished else None
    folder = session.work.job(session.store)
    prepared = folder.result()
    sweeps = choosing.finished_sweeps(session) if prepared else []
    tuning = choosing.tuning_of(session) if prepared else None
    return ReportData(
        experiment=session.experiment,
        work=session.work,
        config=sanitised(session.experiment),
        patients=_patients(session),
        store=folder.path / "store" if prepared else None,
        store_values=prepared["values"] if prepared else {},
        sweeps=sweeps,
        verdicts=read_verdicts(session, sweeps),
        chosen=read_chosen(session.home),
        tuning=tuning,
        comparison=plan,
        table=compared.table if compared else None,
        effects=compared.effects if compared else (),
        doses=compared.doses if compared else (),
        costs=arm_costs(session, compared.plan, sweeps, tuning) if compared else (),
        audits=read_audits(session, plan) if plan else {},
        audit_folders=audit_folders(session, plan) if plan else {},
        provenance=_provenance(session),
        ledger=_ledger(session.work),
        mlflow="`harness ui` with this experiment opens the runs of this work folder in MLflow.",
    )


def _patients(session: Session) -> list[PatientLine]:
    lines = [
        PatientLine(
            look.patient, session.roles.get(look.digest, "not used"), look.structures, look.notes
        )
        for look in session.looks.usable
    ]
    return lines + [
        PatientLine(entry.patient, "", (), excluded=entry.reason)
        for entry in session.looks.excluded
    ]


def _provenance(session: Session) -> list[tuple[str, str]]:
    compute = session.compute
    lines = [
        ("harness", f"{harness.__version__}, code {code_version()}"),
        ("config digest", digest_of(sanitised(session.experiment))),
        ("data digest", digest_of(sorted(session.roles.items()))),
        ("store", session.store.digest),
        (
            "extractor",
            f"{session.specs.extractor['name']}, weights {session.specs.extractor['weights'][:16]}",
        ),
        (
            "compute",
            f"{compute['device']}, {compute['precision']}, "
            f"{counted(int(compute['threads']), 'thread')} a worker",
        ),
        ("machine", f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"),
    ]
    found = _job_versions(session.work) or versions()
    return lines + [(f"version of {name}", value) for name, value in found.items()]


def code_version() -> str:
    """Commit of the source tree, with a mark if files differ from it; "released" without git."""
    root = Path(harness.__file__).parent.parent
    if not (root / ".git").exists():
        return "released"

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
        return done.stdout.strip()

    dirty = " with local changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + dirty


def _results(work: WorkFolder) -> list[tuple[str, dict[str, Any]]]:
    paths = [*work.jobs.glob("*/*/result.json"), *work.jobs.glob("*/*/readouts/*/result.json")]
    return [(path.relative_to(work.jobs).parts[0], read_json(path)) for path in sorted(paths)]


def _job_versions(work: WorkFolder) -> dict[str, str]:
    """Library versions of the jobs; several are listed side by side."""
    seen: dict[str, set[str]] = defaultdict(set)
    for _, result in _results(work):
        for name, version in result["versions"].items():
            seen[name].add(version)
    return {name: ", ".join(sorted(found)) for name, found in sorted(seen.items())}


def _ledger(work: WorkFolder) -> dict[str, dict[str, float]]:
    """Jobs and seconds by kind. A lineage's readouts each hold the time since the job's start, so
    the longest stands for the job."""
    longest: dict[tuple[str, str], float] = {}
    for path in [*work.jobs.glob("*/*/result.json"), *work.jobs.glob("*/*/readouts/*/result.json")]:
        kind, digest = path.relative_to(work.jobs).parts[:2]
        seconds = float(read_json(path)["cost"]["seconds"])
        longest[kind, digest] = max(longest.get((kind, digest), 0.0), seconds)
    ledger: dict[str, dict[str, float]] = {}
    for (kind, _), seconds in longest.items():
        entry = ledger.setdefault(kind, {"jobs": 0, "seconds": 0.0})
        entry["jobs"] += 1
        entry["seconds"] += seconds
    return ledger
