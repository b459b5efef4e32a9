"""Distances, surface Dice and volumes on the page: whose mean, which interval, or why none."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from factories.report import Material, in_memory
from page_reader import Page
from scipy import stats

from harness.inference.crossed_t import crossed_weighted_t
from harness.inference.scores_file import read_scores_file
from harness.metrics.segmentation.structure_scores import MEASURES
from harness.report.data import ReportData
from harness.report.measures import make_measures
from harness.report.page import write_report

STRUCTURES = ("parotid_left", "parotid_right", "mean")
Measure = Callable[[int, int], float | None]


@pytest.fixture
def material() -> Iterator[Material]:
    with in_memory() as made:
        yield made


def measured(material: Material, patients: int, replicates: int, measure: Measure) -> ReportData:
    """A comparison whose every measure is `measure(patient, replicate)`; the arm `none` predicts
    nothing of the right structure of patient 0."""
    data = material.data(patients=patients, replicates=replicates, sweeps=())
    assert data.comparison is not None
    assert data.table is not None
    for (arm, seed), spec in data.comparison.tests.items():
        with open(material.work.job(spec).path / "scores.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, ["patient", "structure", *MEASURES])
            writer.writeheader()
            for place, patient in enumerate(data.table.patients):
                for structure in STRUCTURES:
                    values = dict.fromkeys(MEASURES, measure(place, seed - 1000))
                    if (arm, place, structure) == ("none", 0, "parotid_right"):
                        values["predicted_ml"] = 0.0
                    writer.writerow({"patient": patient, "structure": structure, **values})
        material.record(spec, "scores.csv")
    return data


def test_means_have_the_interval_of_the_crossed_design(material: Material, tmp_path: Path) -> None:
    """Replicates that do not differ leave the plain t interval over patients."""
    data = measured(material, 9, 3, lambda patient, replicate: 1.0 + patient / 10)
    values = 1.0 + np.arange(9) / 10
    low, high = stats.t.interval(0.95, 8, values.mean(), stats.sem(values))
    (first, left, right) = make_measures(data).structures
    assert [title for title, _ in (first, left, right)] == [
        "mean of each patient's structures, 9 patients",
        "parotid_left, 9 patients",
        "parotid_right, 9 patients",
    ]
    shown = [("1.400", f"{low:.3f} to {high:.3f}")] * 2 + [("1.4", f"{low:.1f} to {high:.1f}")] * 3
    shown.append(("+140", f"+{100 * low:.0f} to +{100 * high:.0f}"))
    shown += [("no probabilities", "")] * 2
    for _, lines in (first, left, right):
        for line in lines:
            failed = lines is right[1] and line.arm == "none"
            assert line.values == shown
            assert line.empty == ("3 of 27" if failed else "0 of 27")
    page = Page(write_report(data, tmp_path).read_text())
    row = ["none", *(f"{mean}{interval}" for mean, interval in shown), "3 of 27"]
    assert row in page.rows
    assert "No interval" not in page.text


def test_calibration_stands_by_arm_and_labels_have_no_number(
    material: Material, tmp_path: Path
) -> None:
    data = measured(material, 6, 3, lambda patient, replicate: 1.0)
    assert data.comparison is not None
    for (arm, seed), spec in data.comparison.tests.items():
        path = material.work.job(spec).path / "scores.csv"
        rows = list(csv.DictReader(path.read_text().splitlines()))
        for row in rows:
            place = int(row["patient"].removeprefix("pt_")) - 200
            value = "" if arm == "none" else (place + seed - 1000) / 100
            row |= {"ece": value, "brier": value}
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        material.record(spec)
    first, *_ = make_measures(data).structures
    lines = {line.arm: line.values[-2:] for line in first[1]}
    assert lines["none"] == [("no probabilities", "")] * 2
    table = np.arange(6)[:, None] / 100 + np.arange(3) / 100
    low, high = crossed_weighted_t(table).interval_95 or (0, 0)
    shown = f"{low:.4f} to {high:.4f}".replace("-", "\u2212")
    assert lines["traditional"] == [("0.0350", shown)] * 2
    page = Page(write_report(data, tmp_path).read_text())
    assert ["no probabilities"] * 2 in [row[-3:-1] for row in page.rows]
    with open(tmp_path / "scores.csv", newline="") as file:
        cells = {(r["arm"], r["patient"], r["replicate"]): r for r in csv.DictReader(file)}
    assert cells["traditional", "pt_202", "1001"]["ece"] == "0.03"
    assert cells["none", "pt_202", "1001"]["brier"] == ""


def test_without_an_interval_the_page_says_why(material: Material, tmp_path: Path) -> None:
    few = measured(material, 4, 3, lambda patient, replicate: float(patient + replicate))
    page = Page(write_report(few, tmp_path).read_text())
    assert page.text.count(
        "No interval: an interval needs at least 5 patients and 3 replicates, "
        "but got 4 patients and 3 replicates."
    ) == 1  # fmt: skip


def test_a_value_that_is_not_defined_is_counted_where_it_lacks(material: Material) -> None:
    data = measured(material, 6, 3, lambda patient, replicate: None if patient == 5 else patient)
    measures = make_measures(data)
    assert {line.values[0] for _, lines in measures.structures for line in lines} == {("2.000", "")}
    assert measures.notes == [
        "No interval: an interval needs 2 cells of each patient, but 3 of 18 lack and 1 patient "
        "has fewer."
    ]


def test_the_table_of_scores_has_them_and_is_still_one_of_scores(
    material: Material, tmp_path: Path
) -> None:
    data = measured(material, 5, 3, lambda patient, replicate: patient + replicate / 8)
    write_report(data, tmp_path)
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert data.table is not None
    places = {patient: place for place, patient in enumerate(data.table.patients)}
    for row in rows:
        expected = places[row["patient"]] + (int(row["replicate"]) - 1000) / 8
        assert {float(row[name]) for name in MEASURES if name != "dice"} == {expected}
    read = read_scores_file(tmp_path / "scores.csv")
    assert read.table.cells == data.table.cells
    assert read.notes == (
        "columns that are not read: hd95_mm, surface_distance_mm, surface_dice, volume_ml, "
        "predicted_ml, volume_error_ml, volume_error, ece, brier",
    )
