"""One self-contained page about an experiment, with its tables beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness import __version__
from harness.base import text as formats
from harness.base.files import without_nan, write_json, write_text
from harness.compare.tuning import lead_words
from harness.inference.effect import P_VALUES, Effect
from harness.inference.verdict_text import FAMILIES
from harness.metrics.collapse.verdict import SIGNS
from harness.metrics.records import score_name
from harness.report.answer import Answer, make_answer
from harness.report.arms import Arms, make_arms
from harness.report.audits import make_audits
from harness.report.collapse import MEANINGS, collapse_summary, make_collapse
from harness.report.contrasts import draw_subgroups
from harness.report.data import ReportData
from harness.report.dose import make_doses
from harness.report.gallery import make_gallery
from harness.report.measures import make_measures
from harness.report.patients import make_patients
from harness.report.picture_budget import PictureBudget
from harness.report.provenance import make_provenance
from harness.report.results import extractors, newest
from harness.report.stages import make_stage
from harness.report.synthesis import make_synthesis
from harness.report.tables import make_tables

PAGE = "index.html"
SUMMARY = "report.json"


def write_report(data: ReportData, folder: Path) -> Path:
    """Write the page, the CSV tables and `report.json` into `folder`; each appears whole.

    The same data give the same bytes. What is missing (no sweep, no comparison yet) is said on the
    page with the command that makes it.

    Returns:
        The page's path; it needs no other file, no script and no network.
    """
    budget = PictureBudget()
    # Order matters, below too: the budget for pictures goes to the answer first.
    answer = make_answer(data, budget)
    arms = make_arms(data, budget)
    every = make_tables(data)
    tables = {name: text for name, text in every.items() if text}
    text = render(
        "page.html",
        data=data,
        experiment=data.experiment,
        measure=data.measured,
        answer=answer,
        families=FAMILIES,
        arms=arms,
        forest=draw_subgroups(data, budget),
        measures=make_measures(data),
        doses=make_doses(data, budget),
        collapse=make_collapse(data, budget),
        meanings=MEANINGS,
        signs=SIGNS,
        patients=make_patients(data, budget),
        synthesis=make_synthesis(data, budget),
        audits=make_audits(data, budget),
        stages=[make_stage(data, stage, budget) for stage in ("mask", "image")],
        gallery=make_gallery(data, budget),
        provenance=make_provenance(data),
        tables=tables,
        date=formats.day(newest(data)),
    )
    for name, table in every.items():
        if table:
            write_text(folder / name, table)
        else:  # what a newer page does not have is removed
            (folder / name).unlink(missing_ok=True)
    write_json(folder / SUMMARY, _summary(data, answer, arms, tables))
    write_text(folder / PAGE, text)
    return folder / PAGE


def render(template: str, **values: Any) -> str:
    """A page from its template: everything is escaped, a misspelt name is an error."""
    environment = Environment(
        loader=PackageLoader("harness.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "signed": formats.signed,
        "short": formats.short,
        "number": formats.number,
        "p": formats.probability,
        "interval": formats.interval,
        "counted": formats.counted,
        "glued": formats.glued,
        "score_name": score_name,
        "settings": formats.settings_text,
        "lead": lead_words,
    }
    return environment.get_template(template).render(version=__version__, **values)


def _summary(
    data: ReportData, answer: Answer, arms: Arms, tables: Mapping[str, str]
) -> dict[str, Any]:
    """What machines and the index read; numbers that are not finite become null."""
    first = answer.views[0].effect if answer.views else None
    summary = {
        "name": data.experiment.name,
        "question": data.experiment.question,
        "measure": data.measured.name,
        "date": formats.day(newest(data)),
        "harness": __version__,
        "headline": answer.headline,
        "verdict": answer.verdict,
        "status": first.inference.status if first else "no comparison",
        "conclusive": data.experiment.conclusive and (not data.effects or data.budget.sufficient),
        "shows_path": not data.experiment.conclusive,
        "budget": asdict(data.budget) if data.effects else None,
        "extended": data.extended,
        "earlier_openings": data.earlier.to_dict() if data.earlier else None,
        "patients": arms.patients,
        "replicates": list(arms.replicates),
        "arms": {
            line.summary.arm: {
                data.measured.name: line.summary.mean,
                "replicate_means": list(line.summary.replicate_means),
                "worst_patient": line.worst_patient,
                f"worst_patient_{data.measured.name}": line.worst_value,
                "exposure": asdict(line.exposure) if line.exposure else None,
            }
            for line in arms.lines
        },
        "failures": [asdict(entry) for entry in data.failures],
        "subgroups": [one.to_dict() for one in data.subgroups],
        "effects": [_effect(view.effect, data.extended) for view in answer.views],
        "contrasts": [c.to_dict() for c in answer.beside.contrasts] if answer.beside else [],
        "doses": [asdict(dose) for dose in data.doses],
        "worth": [one.to_dict() for one in data.worth],
        "observations": [asdict(one) for one in data.observations],
        "collapse": collapse_summary(data.verdicts),
        "extractors": [asdict(entry) for entry in extractors(data)],
        "page": PAGE,
        "tables": sorted(tables),
    }
    return without_nan(summary)  # type: ignore[no-any-return]


def _effect(effect: Effect, extended: bool) -> dict[str, Any]:
    """An effect as plain data; after an extension without what would read as a verdict."""
    values = effect.to_dict()
    if extended:
        values |= {"word": "", "sentence": "", **dict.fromkeys(P_VALUES)}
    return values
