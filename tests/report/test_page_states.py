"""The page in every state of an experiment: valid, and whole by itself."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from factories.report import ARMS, Material
from page_checks import Smaller, check, nothing, rows_of, written
from page_reader import Page

from harness import __version__
from harness.base.files import write_record
from harness.compare.protocol import ComparisonPlan
from harness.compare.user_register import EarlierOpening, EarlierOpenings
from harness.inference.decision import decide
from harness.inference.table import Table
from harness.report.answer import make_answer
from harness.report.data import PatientLine, ReportData
from harness.report.picture_budget import PictureBudget
from harness.report.results import mixed_versions
from harness.sweep.observations import Observation


def test_before_anything_the_page_says_what_to_type(everything: ReportData, tmp_path: Path) -> None:
    page, summary = written(nothing(everything), tmp_path)
    check(page)
    assert "No answer yet: no comparison has been run." in page.text
    for command in ("harness compare", "harness sweep", "harness prepare"):
        assert command in page.text
    assert page.pictures == []
    assert (summary["status"], summary["verdict"]) == ("no comparison", None)
    assert summary["tables"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "report.json"]


def test_after_sweeps_alone_they_are_shown(everything: ReportData, tmp_path: Path) -> None:
    data = nothing(everything, sweeps=everything.sweeps[:1], chosen=everything.chosen)
    page, summary = written(data, tmp_path)
    check(page)
    assert "6 trials, 2 seeds each" in page.text
    assert "No answer yet" in page.text
    assert summary["tables"] == ["sweep-mask.csv"]
    told = nothing(everything, sweeps=everything.sweeps[:1], verdicts=everything.verdicts[:1])
    sentence = everything.verdicts[0].sentence
    assert make_answer(told, PictureBudget()).headline.startswith(
        sentence[:1].upper() + sentence[1:]
    )
    assert any(p.alt == "Optimisation history, mask stage" for p in page.pictures)
    assert "No sweep of this stage" in page.text  # the image stage's
    claims = [Observation("Shapes begin at 30.", "holds", "KID 1, 2, 3", (1.0,), (0.5, 1.5))]
    page, summary = written(replace(told, observations=claims), tmp_path)
    check(page)
    assert "Shapes begin at 30. holds KID 1, 2, 3" in page.text
    assert summary["headline"].startswith("Of 1 observation 1 holds. ")
    assert summary["observations"][0]["interval_95"] == [0.5, 1.5]


def test_a_sweep_under_way_says_so(everything: ReportData, tmp_path: Path) -> None:
    sweep = everything.sweeps[0]
    last = sweep.trials[-1]
    running = replace(
        last,
        trial=replace(last.trial, value=None),
        seeds=tuple(replace(seed, result=None) for seed in last.seeds),
    )
    part = replace(sweep, trials=[*sweep.trials[:-1], running], finished=False)
    page, _ = written(nothing(everything, sweeps=(part,)), tmp_path)
    check(page)
    assert "1 under way: harness sweep with this experiment goes on" in page.text
    states = {row["trial"]: row["status"] for row in rows_of(tmp_path / "sweep-mask.csv")}
    assert states["5"] == "under way"


def test_a_trial_that_did_not_fit_its_device_says_so(
    everything: ReportData, tmp_path: Path
) -> None:
    sweep = everything.sweeps[0]
    (failed,) = [run for run in sweep.trials if run.trial.failed_seeds]
    seeds = tuple(replace(s, scores={}, result=None, too_large="no room") for s in failed.seeds)
    trials = [replace(r, seeds=seeds) if r is failed else r for r in sweep.trials]
    page, _ = written(nothing(everything, sweeps=(replace(sweep, trials=trials),)), tmp_path)
    check(page)
    assert page.text.count("out of memory") == len(seeds)
    rows = [r for r in rows_of(tmp_path / "sweep-mask.csv") if r["status"] == "out of memory"]
    assert {row["trial"] for row in rows} == {str(failed.trial.number)}
    assert len(rows) == len(seeds)


def test_a_comparison_under_way_counts_what_is_there(
    everything: ReportData, material: Material, tmp_path: Path
) -> None:
    assert everything.comparison is not None
    plan = ComparisonPlan(everything.comparison.replicates)
    data = nothing(everything, comparison=plan)
    page, summary = written(data, tmp_path)
    check(page)
    assert "25 of 25 segmenters trained, 0 scored on test patients" in page.text
    assert summary["status"] == "no comparison"
    assert "scores.csv" not in summary["tables"]


def test_a_verdict_stands_first(everything: ReportData, page: Path) -> None:
    parsed = Page(page.read_text())
    check(parsed)
    first = everything.effects[0]
    assert first.word == "helps"
    summary = json.loads((page.parent / "report.json").read_text())
    assert summary["verdict"] == summary["headline"]
    assert summary["headline"].replace("\u2212", "-") == first.sentence
    shown = parsed.text.replace("\xa0", " ").replace("\u2212", "-")
    assert shown.index(first.sentence) < shown.index("Secondary comparisons")
    assert f"p, two-sided {first.p:.3f}" in shown
    assert "No answer" not in shown


def test_earlier_openings_elsewhere_stand_beside_the_verdict(
    smaller: Smaller, tmp_path: Path
) -> None:
    looks = tuple(EarlierOpening(f"2026-03-0{n}", n, n == 1, False) for n in range(1, 8))
    page, summary = written(smaller(12, 5, earlier=EarlierOpenings(12, looks)), tmp_path)
    check(page)
    assert (
        "7 earlier openings of these 12 test patients in other work folders: 2026-03-01 (1 of 12 "
        "patients, the same rule), 2026-03-02 (2 of 12 patients, another rule)"
    ) in page.text
    assert "(5 of 12 patients, another rule) and 2 more." in page.text
    assert summary["verdict"] == summary["headline"]
    assert summary["verdict"] in page.text.replace("\xa0", " ")
    assert summary["earlier_openings"]["openings"][6] == {
        "date": "2026-03-07", "patients": 7, "same_rule": False, "same_segmenters": False,
        "continues": False,
    }  # fmt: skip


def test_what_must_stand_beside_a_verdict(page: Path) -> None:
    shown = Page(page.read_text()).text.replace("\xa0", " ")
    for words in (
        "12 test patients, 5 replicates",
        "given this training cohort",
        "smallest effect that the design sees in 80 %",
        "with the spread observed; it does not judge this result",
        "(a verdict takes 10 patients and 5 replicates or more)",
        "worst patient",
        "worst replicate",
        "1 of 5 replicates failed to converge (kept in the comparison); a rate up to 66 %",
        "two families of 5 %, so that a verdict is false in at most 10 % of studies together",
        "KID and FID compare only with others of the same extractor",
    ):
        assert words in shown


def test_a_pilot_has_an_interval_and_no_p(smaller: Smaller, tmp_path: Path) -> None:
    page, summary = written(smaller(8, 3, stages=True), tmp_path)
    check(page)
    assert summary["status"] == "pilot"
    assert summary["verdict"] is None
    assert "No verdict: a verdict needs at least 10 patients and 5 replicates" in page.text
    assert "Pilot: an estimate and its interval, no verdict." in page.text
    assert "p, two-sided" not in page.text
    assert "helps" not in page.text
    effects = rows_of(tmp_path / "effects.csv")
    assert [(row["p"], row["word"]) for row in effects] == [("", ""), ("", "")]
    assert all(float(row["low95"]) < float(row["mean"]) < float(row["high95"]) for row in effects)


def test_cells_alone_of_a_short_path(smaller: Smaller, tmp_path: Path) -> None:
    data = smaller(3, 2)
    data = replace(data, experiment=data.experiment.model_copy(update={"conclusive": False}))
    page, summary = written(data, tmp_path)
    check(page)
    assert "shows the path, too short to conclude" in page.text
    assert summary["conclusive"] is False
    assert summary["status"] == "cells only"
    assert "no interval and no verdict" in page.text
    assert not any("95 % interval" in text for p in page.pictures[:1] for text in p.words())
    assert len(rows_of(tmp_path / "scores.csv")) == 3 * 2 * len(ARMS)


def test_one_patient_and_one_replicate(smaller: Smaller, tmp_path: Path) -> None:
    page, _ = written(smaller(1, 1), tmp_path)
    check(page)
    assert "over 1 patient, 1 replicate;" in page.text
    assert "mean of 1 patient)" in page.text


def test_a_missing_cell_is_shown_as_missing(smaller: Smaller, tmp_path: Path) -> None:
    data = smaller(6, 3)
    assert data.table is not None
    hole = data.table.cells[0]
    cells = [replace(c, value=math.nan) if c is hole else c for c in data.table.cells]
    table = Table(cells)
    data = replace(data, table=table, effects=decide(table, data.experiment.decision))
    page, _ = written(data, tmp_path)
    check(page)
    assert "1 values missing" not in page.text
    assert "1 value missing" in page.text
    row = rows_of(tmp_path / "scores.csv")[0]
    assert (row["patient"], row["value"]) == (hole.patient, "")


def test_an_extension_is_loud_and_without_verdict(smaller: Smaller, tmp_path: Path) -> None:
    page, summary = written(smaller(12, 5, extended=True), tmp_path)
    check(page)
    assert page.text.count("extended after opening: no verdict") >= 2
    assert summary["extended"]
    assert summary["verdict"] is None
    assert [(e["word"], e["p"], e["sentence"]) for e in summary["effects"]] == [("", None, "")] * 2
    assert all(row["word"] == row["p"] == "" for row in rows_of(tmp_path / "effects.csv"))
    assert "p, two-sided" not in page.text
    for word in ("helps", "harms", "no useful effect"):
        assert word not in page.text


def test_excluded_patients_are_listed_with_reasons(everything: ReportData, tmp_path: Path) -> None:
    lines = [
        PatientLine(f"pt_{n}", "", (), excluded=f"slice distances differ by {n} mm")
        for n in range(20)
    ]
    page, _ = written(nothing(everything, patients=lines), tmp_path)
    check(page)
    assert "20 excluded, with reasons" in page.text
    assert ["pt_7", "slice distances differ by 7 mm"] in page.rows
    assert rows_of(tmp_path / "patients.csv")[0]["excluded"] == "slice distances differ by 0 mm"


def test_arms_that_were_trained_under_different_versions_are_told(everything: ReportData) -> None:
    plan, work = everything.comparison, everything.work
    assert plan is not None
    assert mixed_versions(work, plan) == ""
    kept: dict[Path, bytes] = {}
    try:
        for replicate in plan.replicates:
            epochs = replicate.epochs["traditional"]
            folder = work.job(replicate.segmenters["traditional"])
            path, result = folder.at(epochs) / "result.json", folder.result(epochs)
            assert result is not None
            kept[path] = path.read_bytes()
            write_record(path, {**result, "versions": {**result["versions"], "harness": "0.0.9"}})
        said = mixed_versions(work, plan)
        assert f"harness 0.0.9 (traditional: {len(plan.replicates)}) and {__version__} (" in said
        assert said in make_answer(everything, PictureBudget()).notes
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    assert mixed_versions(work, plan) == ""
