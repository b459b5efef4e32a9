"""Gather what is finished into the data of a report."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from typing import Any

import harness
from harness.base.files import digest_of
from harness.base.text import counted
from harness.base.version import code_version
from harness.commands import steps
from harness.commands.audit import audit_folders, read_audits
from harness.commands.chosen_settings import candidates_of, choice, finished_sweeps
from harness.commands.costs.arms import arm_costs, arm_exposures
from harness.commands.declare import declared_on
from harness.commands.session import Session
from harness.compare.protocol import ComparisonPlan
from harness.config.render import sanitised
from harness.inference.budget import NOT_ASKED
from harness.jobs.folder import versions
from harness.jobs.graph import JobGraph
from harness.report.data import PatientLine, ReportData
from harness.sweep.chosen import read_chosen
from harness.sweep.observations import observe
from harness.sweep.verdicts import sweep_verdicts

Results = list[tuple[str, dict[str, Any]]]


def gather(session: Session) -> ReportData:
    """Everything that is finished; trains nothing."""
    graph = session.graph()  # ends up with every job that the experiment stands on
    graph.need(session.store)
    plan = steps.begun_comparison(session, graph)
    compared = steps.read_comparison(session, plan) if plan and plan.finished else None
    folder = session.work.job(session.store)
    prepared = folder.result()
    sweeps = finished_sweeps(session, graph) if prepared else []
    sampler = session.experiment.sweep.sampler
    judged = [sweep_verdicts(session.work, sweep, sampler) for sweep in sweeps]
    candidates = candidates_of(session, graph) if prepared else {}
    audits = read_audits(session, plan, graph) if plan else {}
    results = _results(graph)
    return ReportData(
        experiment=session.experiment,
        work=session.work,
        config=sanitised(session.experiment),
        patients=_patients(session),
        store=folder.verified() / "store" if prepared else None,
        store_values=prepared["values"] if prepared else {},
        sweeps=sweeps,
        verdicts=[verdicts for verdicts in judged if verdicts is not None],
        chosen=read_chosen(session.home),
        origin=choice(session).origin,
        candidates=candidates,
        observations=observe(session.work, session.experiment.observations, sweeps),
        superseded=compared is None and (session.home / "scores.csv").exists(),
        comparison=plan,
        table=compared.table if compared else None,
        effects=compared.effects if compared else (),
        doses=compared.doses if compared else (),
        worth=compared.worth if compared else (),
        budget=compared.budget if compared else NOT_ASKED,
        failures=compared.failures if compared else (),
        subgroups=compared.subgroups if compared else (),
        further=compared.further if compared else {},
        costs=arm_costs(session, compared.plan, sweeps, candidates) if compared else (),
        exposures=arm_exposures(session, compared.plan) if compared and prepared else {},
        earlier=compared.earlier if compared else None,
        audits=audits,
        audit_folders=audit_folders(session, plan) if plan else {},
        provenance=[*_provenance(session, results), *_rule(session, plan)],
        ledger=_ledger(results),
        mlflow="`harness ui` with this experiment opens the runs of this work folder in MLflow.",
    )


def _patients(session: Session) -> list[PatientLine]:
    lines = [
        PatientLine(
            patient.patient,
            session.roles.get(patient.digest, "not used"),
            patient.structures,
            patient.notes,
        )
        for patient in session.patient_index.usable
    ]
    return lines + [
        PatientLine(entry.patient, "", (), excluded=entry.reason)
        for entry in session.patient_index.excluded
    ]


def _provenance(session: Session, results: Results) -> list[tuple[str, str]]:
    compute, extractor = session.compute, session.specs.extractor
    precision = compute["precision"]
    if not isinstance(precision, str):
        precision = " and ".join(f"{word} ({section})" for section, word in precision.items())
    threads = counted(int(compute["threads"]), "thread")
    lines = [
        ("harness", f"{harness.__version__}, code {code_version()}"),
        ("config digest", digest_of(sanitised(session.experiment))),
        ("data digest", digest_of(sorted(session.roles.items()))),
        ("store", session.store.digest),
        ("extractor", f"{extractor['name']}, weights {extractor['weights'][:16]}"),
        ("compute", f"{compute['device']}, {precision}, {threads} a worker"),
        ("machine", f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"),
    ]
    numbers = _job_versions(results) or versions()
    return lines + [(f"version of {name}", number) for name, number in numbers.items()]


def _rule(session: Session, plan: ComparisonPlan | None) -> list[tuple[str, str]]:
    """The rule under which the test was opened; it is declared before that or not at all."""
    opened = session.work.job(plan.opening).result() if plan and plan.opening else None
    if opened is None:
        return []
    digest = str(opened["values"]["rule"])
    declared = declared_on(session, digest)
    before = f"; declared on {declared}, before the test was opened" if declared else ""
    return [("decision rule", digest + before)]


def _results(graph: JobGraph) -> Results:
    """Finished jobs that the graph was asked for: kind and result. Of a lineage's checkpoints,
    which each hold the time since the job's start, the last one asked for stands for the job."""
    found = []
    for request in graph.wanted():
        folder = graph.folder(request.spec)
        epochs: list[int | None] = [*sorted(request.epochs, reverse=True)] or [None]
        done = [result for epoch in epochs if (result := folder.result(epoch)) is not None]
        found += [(request.spec.kind, done[0])] if done else []
    return found


def _job_versions(results: Results) -> dict[str, str]:
    """Library versions of the jobs; several are listed side by side."""
    seen: dict[str, set[str]] = defaultdict(set)
    for _, result in results:
        for name, version in result["versions"].items():
            seen[name].add(version)
    return {name: ", ".join(sorted(found)) for name, found in sorted(seen.items())}


def _ledger(results: Results) -> dict[str, dict[str, float]]:
    """Jobs and seconds by kind."""
    ledger: dict[str, dict[str, float]] = {}
    for kind, result in results:
        entry = ledger.setdefault(kind, {"jobs": 0, "seconds": 0.0})
        entry["jobs"] += 1
        entry["seconds"] += float(result["cost"]["seconds"])
    return ledger
