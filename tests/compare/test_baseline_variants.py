"""The benchmark of baselines: its variants are settings, and its table is what was scored."""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

import pytest
from benchmarks.baseline import EXPERIMENT, VARIANTS, experiment_of, main, overrides
from factories.openkbp import write_experiment, write_openkbp

from harness.config.experiment import to_dict


def load(changes: dict[str, str], name: str = "one") -> dict[str, object]:
    asked = argparse.Namespace(data=Path("somewhere"), experiment=EXPERIMENT, settings=[])
    return to_dict(experiment_of(asked, name, changes))


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_is_a_valid_change(name: str) -> None:
    made, present = (load(overrides([n], 300)) for n in (name, "present"))
    assert (made == present) == (name == "present")
    assert made["segmentation"]["updates"] == (600 if name == "updates-x2" else 300)


def test_variants_taken_together_must_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = overrides(["dynunet-deep", "dynunet-group", "updates-x2", "one-slice"], 100)
    assert both == {
        "segmentation.updates": "200",
        "segmentation.network": "dynunet",
        "segmentation.deep_supervision": "true",
        "segmentation.norm": "group",
        "segmentation.neighbours": "0",
    }
    assert load(both, "dynunet-deep+one-slice")["name"] == "baseline-dynunet-deep.one-slice"
    command = ["--data", str(tmp_path), "--workdir", str(tmp_path / "work"), "--only", "present"]
    for names, said in (
        ("neighbours-1,one-slice", "got segmentation.neighbours 1 and 0 of 'one-slice'"),
        ("neighbors-1", "a variant must be one of present, .* but got 'neighbors-1'"),
    ):
        assert main([*command, "--together", names]) == 2
        assert re.search(said, capsys.readouterr().err)


def test_the_table_is_of_the_validation_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_openkbp(tmp_path / "open-kbp", {"train": 3, "validation": 2, "test": 1})
    experiment = write_experiment(tmp_path / "tiny.yaml", data)
    command = ["--data", str(data), "--workdir", str(tmp_path / "work"), "--engine", "inline"]
    command += ["--experiment", str(experiment), "--updates", "4", "--seeds", "2"]
    command += ["-s", "compute.precision=float32", "--only", "neighbours-1"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    scores = sorted((tmp_path / "work").rglob("scores.csv"))
    assert len(scores) == 4, "two seeds of two variants"
    means = []
    for path in scores:
        rows = [row for row in csv.DictReader(path.open()) if row["structure"] == "mean"]
        assert len(rows) == 2
        means.append(sum(float(row["dice"]) for row in rows) / 2)
    printed = {line.split()[0]: line.split()[1:4] for line in lines}
    assert list(printed) == ["present", "neighbours-1"]
    shown = [float(value) for cells in printed.values() for value in cells[:2]]
    assert sorted(shown) == pytest.approx(sorted(means), abs=5e-5)
    for cells in printed.values():
        assert float(cells[2]) == pytest.approx((float(cells[0]) + float(cells[1])) / 2, abs=1e-4)
    gap = float(printed["neighbours-1"][2]) - float(printed["present"][2])
    assert float(lines[1].split()[4]) == pytest.approx(gap, abs=2e-4)
    assert not any(path.read_text().count("test-score") for path in tmp_path.rglob("spec.json"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[1:] == lines
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == before
