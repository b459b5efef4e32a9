"""The page's section on collapse: the verdict first, every seed shown, numbers as scored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from factories.report import Material, in_memory
from page_checks import LIMIT, rows_of
from page_reader import Page

from harness.figures.collapse import SeedCurve, Share, collapse_shares, how_early, seed_sheet
from harness.figures.encode import png_uri
from harness.report.data import ReportData
from harness.report.page import write_report
from harness.sweep.plan import SweepPlan


@pytest.fixture(scope="module")
def material() -> Iterator[Material]:
    with in_memory() as made:
        yield made


@pytest.fixture(scope="module")
def data(material: Material) -> ReportData:
    """Sweeps of both stages, no comparison."""
    whole = material.data(patients=6, replicates=1)
    return replace(whole, comparison=None, table=None, effects=())


@pytest.fixture(scope="module")
def folder(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(data, tmp_path_factory.mktemp("collapse")).parent


def section(folder: Path) -> Page:
    """The section as a page of its own."""
    html = (folder / "index.html").read_text(encoding="utf-8")
    (found,) = re.findall(r'<section id="collapse">(.*?)</section>', html, re.DOTALL)
    return Page(found)


def test_the_verdict_is_the_first_text(data: ReportData, folder: Path) -> None:
    sentences = " ".join(found.sentence for found in data.verdicts)
    assert section(folder).text.startswith(f"Collapse {sentences}")
    assert '<a href="#collapse">' in (folder / "index.html").read_text()
    assert data.verdicts[0].sentence == (
        "mask stage: 5 of 12 trainings collapsed (2 convergence failure, 2 mode collapse, "
        "1 partial collapse, 7 healthy); all seeds agree in 5 of 6 settings."
    )


def test_the_words_are_explained(folder: Path) -> None:
    shown = section(folder).text
    for words in (
        "hardly a sample looks real",
        "one mask gives one CT, so its samples have only the diversity of their masks",
        "less varied anatomy around the structures than in real patients",
        "whether they look good is told by KID",
    ):
        assert words in shown


def test_every_seed_is_pictured_with_its_verdict(data: ReportData, folder: Path) -> None:
    pictures = [p for p in section(folder).pictures if p.alt.startswith("Samples")]
    shown = {p.alt for p in pictures if p.pixels().size}
    for found in data.verdicts:
        for row in found.seeds:
            name = f"Samples, {found.stage} stage, trial {row.trial}, seed {row.seed}: {row.word}"
            assert name in shown
    assert "Left out to keep the page small" not in section(folder).text


def test_numbers_are_those_of_the_scores(data: ReportData, folder: Path) -> None:
    rows = {(r["stage"], r["trial"], r["seed"]): r for r in rows_of(folder / "collapse.csv")}
    assert len(rows) == 12 + 8
    table = section(folder).rows
    for sweep in data.sweeps:
        for trial in sweep.trials:
            for seed in trial.seeds:
                assert seed.result is not None
                scored = seed.result["values"]["collapse"]
                row = rows[sweep.stage, str(trial.trial.number), str(seed.seed)]
                ratios = [sign["ratio"] for sign in scored["signs"]]
                names = [f"{sign['name']}_ratio" for sign in scored["signs"]]
                assert [float(row[name]) for name in names] == ratios
                assert (row["verdict"], row["sentence"]) == (scored["word"], scored["sentence"])
                real = scored["precision"] / scored["real_precision"]
                assert float(row["precision"]) == real
                assert float(row["p"]) == scored["p"]
                assert row["journal_onset"] == str(scored["onset"] or "")
                head = [str(trial.trial.number), str(seed.seed)]
                shown = [scored["word"], *(f"{r:.2f}" for r in ratios), f"{real:.2f}", "0.500"]
                assert any(line[:2] == head and line[5:12] == shown for line in table)


def test_settings_and_axes_have_counts_and_intervals(folder: Path) -> None:
    table = section(folder).rows
    # Trial 2: one of two, Wilson 9 to 91 %; verdicts in the order of their gravity.
    assert ["2", "16", "0.0002", "10", "1 of 2", "9 to 91 %", "0", "0", "1", "1"] in table
    assert ["schedule.epochs", "10", "1 of 6", "3 to 56 %", "0", "0", "1", "5"] in table
    assert ["schedule.epochs", "20", "4 of 6", "30 to 90 %", "2", "2", "0", "2"] in table


def test_figures_say_how_early_and_how_often(folder: Path) -> None:
    words = {p.alt: p.words() for p in section(folder).pictures if p.kind == "image/svg+xml"}
    assert {"real", "0.25", "mode collapse", "healthy", "Vendi score / real"} <= set(
        words["How early, mask stage"]
    )
    often = words["How often, mask stage"]
    assert "batch size (below: collapsed of judged)" in often
    assert [text for text in often if " of " in text and text[0].isdigit()] == [
        "0 of 2", "0 of 2", "2 of 2", "1 of 2", "2 of 2", "0 of 2",
    ]  # fmt: skip
    assert "undecided" not in words["How early, mask stage"]


def test_the_summary_has_sentences_and_counts(data: ReportData, folder: Path) -> None:
    summary = json.loads((folder / "report.json").read_text())["collapse"]
    assert list(summary) == ["mask", "image"]
    assert summary["mask"]["sentence"] == data.verdicts[0].sentence
    assert (summary["mask"]["collapsed"], summary["mask"]["trainings"]) == (5, 12)
    assert summary["mask"]["counts"]["mode collapse"] == 2
    assert summary["mask"]["settings_that_agree"] == [5, 6]


def test_counts_that_are_no_rates_say_so(
    material: Material, data: ReportData, tmp_path: Path
) -> None:
    verdicts = tuple(material.verdicts(sweep, "tpe") for sweep in data.sweeps)
    page = section(write_report(replace(data, verdicts=verdicts), tmp_path).parent)
    assert page.text.count("so counts are not rates") == 2
    assert ["2", "16", "0.0002", "10", "1 of 2", "\u2013", "0", "0", "1", "1"] in page.rows
    assert not any(p.alt.startswith("How often") for p in page.pictures)


def test_without_verdicts_there_is_no_section(data: ReportData, tmp_path: Path) -> None:
    path = write_report(replace(data, verdicts=()), tmp_path)
    assert 'id="collapse"' not in path.read_text()
    assert 'href="#collapse"' not in path.read_text()
    assert not (tmp_path / "collapse.csv").exists()
    assert json.loads((tmp_path / "report.json").read_text())["collapse"] == {}


def test_many_seeds_are_all_pictured_on_a_small_page(
    material: Material, data: ReportData, tmp_path: Path
) -> None:
    """60 trials of two seeds: the same trainings under new numbers."""
    sweep = data.sweeps[0]
    trials = [
        replace(run, trial=replace(run.trial, number=number))
        for number, run in enumerate(list(sweep.trials) * 10)
    ]
    many = SweepPlan(sweep.stage, sweep.study, sweep.objective, "minimize", trials, finished=True)
    made = replace(data, sweeps=(many,), verdicts=(material.verdicts(many),))
    path = write_report(made, tmp_path)
    assert path.stat().st_size < LIMIT
    shown = [p for p in section(tmp_path).pictures if p.alt.startswith("Samples")]
    assert len(shown) == 120


def test_a_trial_and_a_replicate_show_their_verdicts(material: Material, tmp_path: Path) -> None:
    data = material.data(patients=6, replicates=2, failed=1)
    page = Page(write_report(data, tmp_path).read_text(encoding="utf-8"))
    trial = next(row for row in page.rows if row[0] == "1" and row[-1] == "2 seeds failed")
    assert all(value.endswith("(convergence failure)") for value in trial[-3:-1])
    lost = next(row for row in page.rows if row[-1].startswith("Convergence failure: as the"))
    assert lost[0] == "1000"  # its verdict is the first word of the sentence
    sound = [row for row in page.rows if row[-1].startswith("Healthy: as the")]
    assert [row[0] for row in sound] == ["1001", "1000", "1001"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: how_early([SeedCurve([5], [0.0], "healthy")], 0.25, "ratio"),
        lambda: how_early([SeedCurve([1, 9], [1e-6, 4.0], "a new word")], 0.25, "ratio"),
        lambda: collapse_shares([Share("$x" * 30, 1, 1, (0.2, 1.0))], "noise"),
        lambda: seed_sheet([]),
    ],
)
def test_odd_data_still_make_a_figure(make: object) -> None:
    assert png_uri(make()).startswith("data:image/png")  # type: ignore[operator]
