"""The page is true to its data."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from factories.report import ARMS
from page_checks import rows_of
from page_reader import Page
from scipy import stats

from harness.compare.tuning import ArmTuning, Candidate, Rung, TuningPlan
from harness.inference.dose import doses
from harness.inference.learning_curve import worth
from harness.inference.table import Cell, Table
from harness.report.answer import collapse_bound
from harness.report.data import ReportData
from harness.report.page import write_report


def test_numbers_in_figures_are_whole(everything: ReportData, page: Path) -> None:
    """What people read is rounded, never cut: +0.015 is not +0.01."""
    parsed = Page(page.read_text())
    texts = {p.alt: p.words() for p in parsed.pictures if p.kind == "image/svg+xml"}
    first = everything.effects[0]
    pair = f"{first.candidate} \u2212 {first.baseline}"
    assert f"{first.inference.mean:+.3f}" in texts[f"Dots of paired differences in Dice, {pair}"]
    assert everything.table is not None
    for arm in ARMS:
        assert f"{everything.table.values(arm).mean():.3f}" in texts["Mean Dice per arm"]
    for words in texts.values():
        ticks = [text for text in words if re.fullmatch(r"[\u22120-9.]+", text)]
        assert len([t for t in ticks if float(t.replace("\u2212", "-")) == 0]) <= 2


def test_cells_of_the_page_are_cells_of_the_table(everything: ReportData, page: Path) -> None:
    table = everything.table
    assert table is not None
    rows = rows_of(page.parent / "scores.csv")
    found = [Cell(r["patient"], int(r["replicate"]), r["arm"], float(r["value"])) for r in rows]
    assert found == list(table.cells)
    parsed = Page(page.read_text())
    for arm in ARMS:
        for place, patient in enumerate(table.patients):
            values = table.values(arm)[place]
            row = [patient, *(f"{v:.3f}" for v in values), f"{values.mean():.3f}"]
            assert row in parsed.rows


def test_tables_of_trials_effects_and_costs(everything: ReportData, page: Path) -> None:
    folder = page.parent
    sweep = everything.sweeps[0]
    rows = rows_of(folder / "sweep-mask.csv")
    assert len(rows) == sum(len(run.seeds) for run in sweep.trials)
    assert {row["status"] for row in rows} == {"chosen", "failed", "done"}
    for row in rows:
        run = sweep.trials[int(row["trial"])]
        result = run.seeds[int(row["seed"])].result
        assert result is not None
        assert float(row["quality/kid"]) == result["values"]["quality/kid"]
        assert int(row["batch_size"]) == run.trial.params["batch_size"]
    effect = everything.effects[0]
    first = rows_of(folder / "effects.csv")[0]
    assert float(first["p"]) == effect.p
    assert (float(first["low95"]), float(first["high95"])) == effect.inference.interval_95
    assert first["primary"] == "true"
    costs = {row["kind"]: float(row["seconds"]) for row in rows_of(folder / "costs.csv")}
    assert costs == {"mask-stage": 5400.0, "segmenter": 8000.0}


def test_doses_and_candidates_are_shown_and_never_judged(
    everything: ReportData, tmp_path: Path
) -> None:
    assert everything.table is not None
    few = Table(
        replace(c, value=c.value - 0.1 * (c.arm == "traditional")) for c in everything.table.cells
    )
    rule = everything.experiment.decision
    own = {"patients": 20.0, "synthetic_fraction": 0.5}
    found = doses(everything.table, own, [("patients", 5.0, few)], rule)
    gamma = {"augmentation.magnitude": 2.0}
    rungs = [Rung(50, (), ((0.61,), (0.65,))), Rung(100, (), ((0.7, 0.72), (0.7, 0.74)))]
    ends = Candidate(0, {}, tuple(rungs)), Candidate(1, gamma, (rungs[0],))
    plan = {
        "traditional": ArmTuning("traditional", ends, ends[0], (0.004, 0.005)),
        "traditional+gan": ArmTuning("traditional+gan", (Candidate(0, {}, (Rung(50, (), None),)),)),
    }
    tried = TuningPlan(plan).to_dict()
    origin = {"segmentation": "magnitude 1 and share 0.5, by hand"}
    curve = {5: few, 20: everything.table}
    said = worth(curve, rule.baseline, rule.candidate)
    shown = replace(everything, doses=found, worth=said, candidates=tried, origin=origin)
    page = write_report(shown, tmp_path)
    text, parsed = page.read_text(), Page(page.read_text())
    base, candidate = (
        everything.table.values(rule.baseline),
        everything.table.values(rule.candidate),
    )
    gain = (candidate - base).mean()
    levels = [
        row for row in parsed.rows if row[0] in ("5", "20 (declared)") and len(row) == 4 + len(ARMS)
    ]
    assert [row[1] for row in levels] == [str(len(everything.table.replicates))] * 2
    assert [row[-2] for row in levels] == [f"{gain + 0.1:+.3f}", f"{gain:+.3f}"]
    assert levels[0][2:4] == [f"{base.mean() - 0.1:.3f}", f"{candidate.mean():.3f}"]
    assert "The comparison goes by magnitude 1 and share 0.5, by hand." in text
    own = "the experiment's own"
    assert [f"{own} (chosen)", "50: 0.630; 100: 0.715", "0.700 0.730"] in parsed.rows
    assert ["magnitude 2", "50: 0.630", "0.630"] in parsed.rows
    assert [own, "50: \u2013", ""] in parsed.rows
    assert "0.0040 ahead of the next one, standard error 0.0050: chosen by a hair" in text
    section = text[text.index('id="doses"') :]
    section = section[: section.index("</section>")]
    assert not re.search("helps|harms|no useful effect", section)
    assert "Learning curve" in section
    assert [f"<li>{one.sentence}</li>" in section for one in said] == [True, True]
    rows = rows_of(tmp_path / "doses.csv")
    assert [float(row["mean"]) for row in rows] == pytest.approx([gain + 0.1, gain])
    assert [row["declared"] for row in rows] == ["false", "true"]


def test_the_summary_agrees_with_the_table(everything: ReportData, page: Path) -> None:
    summary = json.loads((page.parent / "report.json").read_text())
    assert everything.table is not None
    for arm in ARMS:
        values = everything.table.values(arm)
        assert summary["arms"][arm]["dice"] == pytest.approx(values.mean())
        worst = values.mean(axis=1).argmin()
        assert summary["arms"][arm]["worst_patient"] == everything.table.patients[worst]
    assert summary["patients"] == 12
    assert summary["date"] == "2026-09-21"


def test_no_picture_of_a_test_patient_is_shown(page: Path) -> None:
    """The material's test CT is pure white."""
    parsed = Page(page.read_text())
    (sheet,) = [p for p in parsed.pictures if p.alt == "Real pairs with outlined masks"]
    pixels = sheet.pixels()
    edge = pixels.shape[1] / 6
    for number in range(9):
        row, column = divmod(number, 6)
        tile = pixels[int(row * edge + 8) : int((row + 1) * edge - 8)]
        tile = tile[:, int(column * edge + 8) : int((column + 1) * edge - 8)]
        assert tile.mean() < 200, number


def test_the_chosen_trial_is_marked(everything: ReportData, page: Path) -> None:
    parsed = Page(page.read_text())
    best = everything.sweeps[0].best
    assert best is not None
    chosen = [row for row in parsed.rows if row[-1:] == ["chosen"]]
    assert chosen[0][0] == str(best.number)


@pytest.mark.parametrize("replicates", [3, 5, 10])
def test_the_bound_on_failures_that_nobody_saw(replicates: int) -> None:
    assert collapse_bound(0, replicates) == pytest.approx(1 - 0.05 ** (1 / replicates))
    assert collapse_bound(replicates, replicates) == 1.0
    for failed in range(1, replicates):
        bound = collapse_bound(failed, replicates)
        assert stats.binom.cdf(failed, replicates, bound) == pytest.approx(0.05)
