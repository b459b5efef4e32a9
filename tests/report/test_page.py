"""The page in every state of an experiment: valid, whole by itself, true to its data."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories.report import ARMS, Material, in_memory
from page_reader import Page
from scipy import stats

from harness.compare.protocol import ComparisonPlan
from harness.compare.tuning import Candidate, TuningPlan
from harness.inference.decision import decide
from harness.inference.dose import doses
from harness.inference.table import Cell, Table
from harness.report.answer import collapse_bound
from harness.report.data import PatientLine, ReportData
from harness.report.page import write_report
from harness.report.picture_budget import PictureBudget

LIMIT = 2_000_000
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x.png onerror=alert(1)>',
    "a & b &lt; c",
    "`code` {{ 7 * 7 }} {% raw %}",
    r"$\frac{1}{0}$ \n",
    "Ünïcode 患者 \u202eright to left",
    "bell\x07 and escape\x1b[31m",
    "x" * 300,
]


@pytest.fixture(scope="module")
def material() -> Iterator[Material]:
    with in_memory() as made:
        yield made


@pytest.fixture(scope="module")
def everything(material: Material) -> ReportData:
    """A finished experiment with 12 test patients and 5 replicates, one of which failed."""
    return material.data(failed=1)


@pytest.fixture(scope="module")
def page(everything: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(everything, tmp_path_factory.mktemp("everything"))


Smaller = Callable[..., ReportData]


@pytest.fixture
def smaller(material: Material, everything: ReportData) -> Smaller:
    """The same comparison with fewer patients and replicates, and without sweeps.

    Unless `stages` is true, the replicates are those of arms that need no generator: less to draw.
    """

    def make(patients: int, count: int, stages: bool = False, **changes: Any) -> ReportData:
        assert everything.comparison is not None
        replicates = everything.comparison.replicates[:count]
        if not stages:
            bare: dict[str, Any] = {"stages": {}, "scores": {}, "synthesis": None}
            replicates = [replace(replicate, **bare) for replicate in replicates]
        seeds = {replicate.seed for replicate in replicates}
        tests = {key: s for key, s in everything.comparison.tests.items() if key[1] in seeds}
        plan = replace(everything.comparison, replicates=replicates, tests=tests)
        plan.extended = changes.pop("extended", False)
        table = material.table([f"pt_{200 + n}" for n in range(patients)], plan)
        values: dict[str, Any] = {
            "comparison": plan,
            "table": table,
            "effects": decide(table, everything.experiment.decision, plan.extended),
            "sweeps": (),
            "verdicts": (),
            "chosen": None,
        }
        return replace(everything, **{**values, **changes})

    return make


def nothing(everything: ReportData, **changes: Any) -> ReportData:
    """Before any command: the experiment and an empty work folder."""
    empty: dict[str, Any] = {
        "patients": [],
        "store": None,
        "store_values": {},
        "sweeps": (),
        "verdicts": (),
        "chosen": None,
        "comparison": None,
        "table": None,
        "effects": (),
        "ledger": {},
    }
    return replace(everything, **{**empty, **changes})


def written(data: ReportData, folder: Path) -> tuple[Page, dict[str, Any]]:
    path = write_report(data, folder)
    return Page(path.read_text(encoding="utf-8")), json.loads((folder / "report.json").read_text())


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check(page: Page) -> None:
    """What holds in every state."""
    assert len(page.html.encode()) < LIMIT
    assert not {"script", "iframe", "object", "embed", "link", "form"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href"):
            assert value.startswith(("data:image/", "#")), (tag, value[:80])
    style = re.findall(r"<style>(.*?)</style>", page.html, re.DOTALL)
    assert not any("url(" in text or "@import" in text for text in style)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    targets = [v[1:] for _, name, v in page.attributes if name == "href" and v.startswith("#")]
    assert set(targets) <= set(ids)
    for picture in page.pictures:
        assert picture.alt
        if picture.kind == "image/svg+xml":
            assert picture.words()
        else:
            assert picture.pixels().size
    assert "nan" not in re.findall(r"[a-z]+", page.text.lower())
    assert "None" not in page.text


# --- states ---------------------------------------------------------------------------------


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
    assert any(p.alt == "Optimisation history, mask stage" for p in page.pictures)
    assert "No sweep of this stage" in page.text  # the image stage's


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
    plan = ComparisonPlan(everything.comparison.replicates, material.specs.segmenter_epochs())
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


def test_what_must_stand_beside_a_verdict(page: Path) -> None:
    shown = Page(page.read_text()).text.replace("\xa0", " ")
    for words in (
        "12 test patients, 5 replicates",
        "given this training cohort",
        "smallest effect seen with 80 % power",
        "worst patient",
        "worst replicate",
        "1 of 5 replicates failed to converge (kept in the comparison); a rate up to 66 %",
        "p is Holm-adjusted over the secondaries; intervals are not adjusted",
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


# --- true to its data -----------------------------------------------------------------------


def test_numbers_in_figures_are_whole(everything: ReportData, page: Path) -> None:
    """What people read is rounded, never cut: +0.015 is not +0.01."""
    parsed = Page(page.read_text())
    texts = {p.alt: p.words() for p in parsed.pictures if p.kind == "image/svg+xml"}
    first = everything.effects[0]
    pair = f"{first.candidate} \u2212 {first.baseline}"
    assert f"{first.mean:+.3f}" in texts[f"Dots of paired differences in Dice, {pair}"]
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
    assert (float(first["low95"]), float(first["high95"])) == effect.interval_95
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
    candidates = {
        "magnitude": [
            Candidate("magnitude", 0.5, "traditional", (), (0.61, 0.65)),
            Candidate("magnitude", 1.0, "traditional", (), (0.7, 0.72)),
        ],
        "synthetic_fraction": [
            Candidate("synthetic_fraction", 0.25, "traditional+gan", (), (0.7, None))
        ],
    }
    tried = TuningPlan(10, candidates, {"magnitude": 1.0}).to_dict()
    origin = {"segmentation": "magnitude 1 and share 0.5, by hand"}
    page = write_report(replace(everything, doses=found, candidates=tried, origin=origin), tmp_path)
    text, parsed = page.read_text(), Page(page.read_text())
    base, candidate = (
        everything.table.values(rule.baseline),
        everything.table.values(rule.candidate),
    )
    gain = (candidate - base).mean()
    levels = [row for row in parsed.rows if row[0] in ("5", "20 (declared)") and len(row) == 5]
    assert [row[3] for row in levels] == [f"{gain + 0.1:+.3f}", f"{gain:+.3f}"]
    assert levels[0][1:3] == [f"{base.mean() - 0.1:.3f}", f"{candidate.mean():.3f}"]
    assert "goes by\nmagnitude 1 and share 0.5, by hand." in text
    assert ["1 (chosen)", "0.710", "0.700 0.720"] in parsed.rows
    assert ["0.25", "\u2013", "0.700 \u2013"] in parsed.rows
    section = text[text.index('id="doses"') :]
    section = section[: section.index("</section>")]
    assert not re.search("helps|harms|no useful effect", section)
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


# --- bytes ----------------------------------------------------------------------------------

AGAIN = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_page import write_small
write_small(Path(sys.argv[1]))
"""


def write_small(folder: Path) -> None:
    """One sweep and one replicate, made from nothing."""
    made = Material(folder / "material")
    data = made.data(patients=6, replicates=1, sweeps=(made.sweep("mask", trials=2, seeds=1),))
    write_report(data, folder / "out")


def test_the_same_data_give_the_same_bytes_in_another_place(
    material: Material, tmp_path: Path
) -> None:
    """Another process, another hash seed, another folder."""
    one, two = material.root / "one", tmp_path / "two"
    write_small(one)
    here = Path(__file__).parent
    command = [sys.executable, "-c", AGAIN, str(two), str(here), str(here.parent)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "77"})
    names = sorted(path.name for path in (one / "out").iterdir())
    assert len(names) == 8
    assert sorted(path.name for path in (two / "out").iterdir()) == names
    for name in names:
        assert (one / "out" / name).read_bytes() == (two / "out" / name).read_bytes(), name


def test_the_page_names_no_folder_of_this_machine(page: Path, material: Material) -> None:
    for path in page.parent.iterdir():
        text = path.read_text()
        assert str(material.root) not in text
        assert str(Path.home()) not in text


def test_tables_that_a_newer_page_lacks_are_removed(everything: ReportData, tmp_path: Path) -> None:
    before = nothing(everything, patients=everything.patients, ledger=everything.ledger)
    write_report(replace(before, effects=everything.effects), tmp_path)
    assert len(list(tmp_path.glob("*.csv"))) == 3
    (tmp_path / "notes.txt").write_text("mine")
    write_report(nothing(everything), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "index.html",
        "notes.txt",
        "report.json",
    ]


def test_many_patients_stay_small(smaller: Smaller, tmp_path: Path) -> None:
    data = smaller(400, 5)
    lines = [PatientLine(f"pt_{n}", "train", ("parotid_left",), ("a note",)) for n in range(1000)]
    page, _ = written(replace(data, patients=lines), tmp_path)
    check(page)
    assert "The Dice of every patient in every replicate is in scores.csv." in page.text
    assert len(rows_of(tmp_path / "scores.csv")) == 400 * 5 * len(ARMS)


def test_pictures_beyond_the_budget_are_named_and_left_out() -> None:
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    budget = PictureBudget(most=9000)
    kept = [budget.image(noise, f"picture {n}") for n in range(4)]
    assert [bool(picture.uri) for picture in kept] == [True, False, False, False]
    assert sum(len(picture.uri) for picture in kept) <= 9000


# --- hostile words --------------------------------------------------------------------------


def test_hostile_words_stay_words(everything: ReportData, smaller: Smaller, tmp_path: Path) -> None:
    data = smaller(8, 3)
    assert data.table is not None
    names = dict(zip(data.table.patients, HOSTILE, strict=True))
    table = Table(replace(cell, patient=names[cell.patient]) for cell in data.table.cells)
    lines = [
        PatientLine(name, "train", (name,), (name,), "" if n % 2 else name)
        for n, name in enumerate(HOSTILE)
    ]
    experiment = data.experiment.model_copy(update={"question": "".join(HOSTILE)})
    data = replace(
        data,
        experiment=experiment,
        table=table,
        effects=decide(table, experiment.decision),
        patients=lines,
        config={**data.config, "question": HOSTILE[0]},
        provenance=[(name, name) for name in HOSTILE],
        store_values={"pairs": {HOSTILE[0]: 3}, "lost": {HOSTILE[1]: 0.1}},
    )
    page, _ = written(data, tmp_path)
    check(page)
    assert "evil.example" not in "".join(v for _, n, v in page.attributes if n in ("src", "href"))
    for name in HOSTILE[:6]:
        assert " ".join(name.split()) in page.text
    for table_name in ("patients.csv", "scores.csv"):
        assert {row["patient"] for row in rows_of(tmp_path / table_name)} == set(HOSTILE)


# --- small numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("replicates", [3, 5, 10])
def test_the_bound_on_failures_that_nobody_saw(replicates: int) -> None:
    assert collapse_bound(0, replicates) == pytest.approx(1 - 0.05 ** (1 / replicates))
    assert collapse_bound(replicates, replicates) == 1.0
    for failed in range(1, replicates):
        bound = collapse_bound(failed, replicates)
        assert stats.binom.cdf(failed, replicates, bound) == pytest.approx(0.05)
