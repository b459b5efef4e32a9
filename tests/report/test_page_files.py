"""What lies beside and in the page: the same bytes anywhere, no folder's name, few megabytes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from factories.report import ARMS, Material
from page_checks import Smaller, check, nothing, rows_of, written

from harness.report.data import PatientLine, ReportData
from harness.report.page import write_report
from harness.report.picture_budget import PictureBudget

AGAIN = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_page_files import write_small
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
