"""A second observer among the arms: is a network as close to the first one as that is?"""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its own documentation calls it so)
from factories.cli import run_cli
from factories.decide import Cells, vector

from harness.inference import Cell, DecisionRule, Table, crossed_weighted_t, decide

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HARNESS_TEST_DATA", "")) / "deepmind-parotids"
PATTERN = vector() - vector().mean()
"""Of 10 patients and 5 replicates, about 0."""
AS_CLOSE = "as close to one observer as the other is"
GIVEN = "given this training cohort, of these two observers"


def drawn(patients: int = 10) -> Cells:
    """Closeness of the second observer's contours to the first one's."""
    return (80 + np.arange(patients) % 7) / 100


def write(path: Path, differences: Cells, layout: str = "blank", scale: float = 1.0) -> Path:
    """A network as its difference from the second observer, whose value stands where `layout`
    says: in rows of no replicate, of one, of all, or in a column beside the network's."""
    second = scale * drawn(len(differences))
    network = second[:, None] + differences
    runs = {"blank": [""], "one": [3], "once": ["drawn"], "all": range(1, 6)}
    if layout == "column":
        rows = ["patient,run,network,second"]
        rows += [
            f"p{p},{r + 1},{float(v)!r},{float(second[p])!r}"
            for (p, r), v in np.ndenumerate(network)
        ]
    else:
        rows = ["patient,run,arm,value"]
        rows += [f"p{p},{r + 1},network,{float(v)!r}" for (p, r), v in np.ndenumerate(network)]
        rows += [
            f"p{p},{r},second,{float(v)!r}" for p, v in enumerate(second) for r in runs[layout]
        ]
    path.write_text("\n".join(rows))
    return path


def found(scores: Path, *more: str) -> dict[str, Any]:
    return run_cli("decide", scores, "--observer", "second", *more, "--json").json  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("differences", "word", "said"),
    [
        (0.1 * PATTERN, "no useful effect", f"{AS_CLOSE}, within 0.01;"),
        (0.05 + PATTERN, "helps", "closer to one observer than the other is;"),
        (-0.05 + PATTERN, "harms", "less close to one observer than the other is;"),
        (
            0.004 + 0.1 * PATTERN,
            "helps, by less than the margin",
            "closer to one observer than the other is, by less than the margin;",
        ),
        (
            -0.004 + 0.1 * PATTERN,
            "harms, by less than the margin",
            "less close to one observer than the other is, by less than the margin;",
        ),
        (3 * PATTERN, "undecided", f'undecided whether {AS_CLOSE}, which is not "as close";'),
    ],
)
def test_the_words(tmp_path: Path, differences: Cells, word: str, said: str) -> None:
    about = found(write(tmp_path / "scores.csv", differences))
    (effect,) = about["effects"]
    assert (effect["baseline"], effect["candidate"], effect["word"]) == ("second", "network", word)
    assert about["verdict"].startswith(f"network against second: {said} mean difference in value ")
    assert about["verdict"].endswith(f"(10 test patients, 5 replicates, {GIVEN}).")
    assert (effect["question"], effect["scope"]) == ("observer", GIVEN)
    expected = crossed_weighted_t(differences)
    assert effect["mean"] == pytest.approx(differences.mean(), abs=1e-12)
    assert effect["interval_95"] == pytest.approx(expected.interval_95, abs=1e-12)


@pytest.mark.parametrize("layout", ["one", "once", "all", "column"])
def test_wherever_the_one_value_stands(tmp_path: Path, layout: str) -> None:
    blank = found(write(tmp_path / "blank.csv", 0.01 + PATTERN))
    other = found(write(tmp_path / f"{layout}.csv", 0.01 + PATTERN, layout))
    for about in (blank, other):
        assert about["missing"]["count"] == 0
        assert about["differences"][0]["replicates"] == [1, 2, 3, 4, 5]
    assert other["effects"] == blank["effects"]


def test_a_smaller_distance_is_closer(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", -2 + 100 * PATTERN, scale=10)
    lower = found(scores, "--better", "lower", "--margin", "1")
    assert lower["effects"][0]["mean"] == pytest.approx(-2)
    assert lower["effects"][0]["word"] == "helps"
    said = "network against second (lower is better): closer to one observer than the other is;"
    assert lower["verdict"].startswith(said)
    higher = found(scores, "--better", "higher", "--margin", "1")
    said = "network against second: less close to one observer than the other is;"
    assert higher["verdict"].startswith(said)


def test_as_printed_and_drawn(tmp_path: Path) -> None:
    scores, figure = write(tmp_path / "s.csv", 0.004 + 0.1 * PATTERN), tmp_path / "f.svg"
    _, out, err = run_cli("decide", scores, "--observer", "second", "-o", figure)
    assert f"scope: {GIVEN}\n" in out
    assert "useful" not in out
    assert f'"{AS_CLOSE}" (within 0.01) is in reach' in out
    assert "warning: the replicates of 'second' are equal: nothing in it is random, as --obs" in err
    drawn_words = re.sub("<[^>]*>", " ", figure.read_text())
    assert "closer to one" in drawn_words
    assert "by less than the margin" in drawn_words


def test_several_measures_have_common_words(tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    rows = [f"p{p},{r},network,{0.83 + d},{4 - 100 * d}" for (p, r), d in np.ndenumerate(PATTERN)]
    rows += [f"p{p},,second,0.8,6" for p in range(10)]
    scores.write_text("patient,run,arm,dice,hd95\n" + "\n".join(rows))
    measures = ("--value", "dice", "--value", "hd95", "--margin", "0.01", "--margin", "1")
    about = found(scores, *measures, "--better", "higher", "--better", "lower")
    common = "network against second, all of dice, hd95: closer to one observer than the other is."
    assert (about["word"], about["verdict"]) == ("helps", common)


def test_a_patient_whom_the_observer_left_out_is_missing(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", PATTERN)
    scores.write_text(scores.read_text().replace("p4,,second,0.84", "p4,,second,"))
    about = found(scores)
    assert about["missing"]["count"] == 5
    assert "1 patient has fewer" in about["verdict"]


def test_the_word_with_filled_cells_is_one_of_closeness(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", 0.02 + PATTERN)
    text = scores.read_text()
    scores.write_text(text.replace(next(re.finditer("p4,2,network.*\n", text))[0], ""))
    said = found(scores, "--margin", "0.1")["verdict"]
    assert said.startswith("network against second: closer to one observer than the other is, by")
    assert "the word stays" in said


def test_a_network_that_was_trained_once_gets_no_word(tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    rng = np.random.default_rng(3)
    values = rng.normal(0.8, 0.03, (12, 2)).round(4)
    rows = [f"p{p},{name},{v}" for p, row in enumerate(values)
            for name, v in zip(("network", "second"), row, strict=True)]  # fmt: skip
    scores.write_text("patient,arm,value\n" + "\n".join(rows))
    about = found(scores)
    assert about["effects"][0]["word"] == ""
    assert "No verdict: a verdict needs at least 5 replicates, but got 1" in about["verdict"]
    assert about["effects"][0]["mean"] == pytest.approx((values[:, 0] - values[:, 1]).mean())


def test_from_python() -> None:
    cells = [Cell(f"p{p}", r, "network", d) for (p, r), d in np.ndenumerate(0.85 + PATTERN)]
    cells += [Cell(f"p{p}", 0, "second", 0.8) for p in range(10)]
    rule = DecisionRule("second", "network", margin=0.01, observer=True)
    (effect,) = decide(Table(cells), rule)
    assert effect.word == "helps"
    assert effect.inference.interval_95 == pytest.approx(
        crossed_weighted_t(0.05 + PATTERN).interval_95
    )
    assert "closer to one observer than the other is; mean difference in Dice" in effect.sentence


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("third",), "--observer must be one of the arms network, second, but got 'third'"),
        (
            ("second", "--baseline", "network"),
            "--observer names the baseline, but got 'second' beside --baseline 'network'; leave "
            "--baseline out",
        ),
        (("second", "--unpaired"), "but got --unpaired; leave it out"),
        (("second", "--candidate", "second"), "needs two arms, but got 'second' twice"),
        (("network",), "each row must name its replicate, but got nothing in row 52 of"),
    ],
)
def test_mistakes(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    scores = write(tmp_path / "scores.csv", PATTERN)
    code, out, err = run_cli("decide", scores, "--observer", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_an_observer_who_varies_is_refused(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", PATTERN, "all")
    scores.write_text(scores.read_text().replace("p4,2,second,0.84", "p4,2,second,0.86"))
    code, out, err = run_cli("decide", scores, "--observer", "second")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "but got 0.84 and 0.86 of 'second' for patient 'p4'; keep one of them, or leave" in err


# --- real masks ---------------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.skipif(
    "HARNESS_TEST_DATA" not in os.environ or not DATA.is_dir(),
    reason="needs deepmind-parotids/ in the folder that HARNESS_TEST_DATA names",
)
@pytest.mark.timeout(1500)
def test_the_documented_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/tables-of-scores.md, as it stands there; Dice and interval from the masks beside it."""
    page = (ROOT / "docs/tables-of-scores.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (command,) = re.findall(r"^    harness (decide closeness\.csv .*)$", page, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("tcia-ct-scan-dataset").symlink_to(DATA)
    exec(compile(snippet, "docs/tables-of-scores.md", "exec"), {})
    _, out, _ = run_cli(*command.split())
    first, *lines = out.splitlines()
    assert " ".join(page.split()).count(f"`{first}`") == 1, "the page says what is printed"

    written: dict[tuple[str, str], list[float]] = {}
    for row in csv.DictReader(Path("closeness.csv").read_text(encoding="utf-8").splitlines()):
        written.setdefault((row["patient"], row["cluster"]), []).append(float(row["dice"]))
    of_parts = from_masks()
    assert {cluster for _, cluster in written} == of_parts.keys()
    for (_, cluster), values in written.items():
        assert values == pytest.approx(of_parts[cluster], abs=1e-6)  # single precision
    people = sorted({patient for patient, _ in written})
    scores = np.array(
        [np.mean([of_parts[c] for p, c in written if p == name], axis=0) for name in people]
    )
    assert len(people) == 30
    difference = scores[:, 1:] - scores[:, :1]
    expected = crossed_weighted_t(difference)
    assert expected.interval_95 is not None
    shown = {line[2:23].strip(): line[23:].replace("\u2212", "-") for line in lines if line}
    assert shown["mean difference"] == f"{difference.mean():+.4f}"
    assert shown["95 % interval"] == "{:+.4f} to {:+.4f}".format(*expected.interval_95)


def from_masks() -> dict[str, list[float]]:
    """Dice with the first observer's mask, of the second's and of five displaced ones, by part."""
    rng = np.random.default_rng(0)
    habits = rng.normal(0.8, 0.2, (5, 2))
    found = {}
    for path in sorted(DATA.glob("nrrds/*/oncologist/*/segmentations/Parotid-?t.nrrd")):
        first, second = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(path).replace("oncologist", name))) != 0
            for name in ("oncologist", "radiographer")
        )
        there = (first | second).any(axis=(1, 2))  # slices
        first, second = first[there], second[there]
        masks = [second]
        for habit in habits:
            moves = np.rint(habit + rng.normal(0, 0.7, 2)).astype(int)
            rows, columns = (
                (np.arange(size) - move) % size // 2 * 2
                for size, move in zip(first.shape[1:], moves, strict=True)
            )
            masks.append(first[:, rows][:, :, columns])
        found[f"{path.parts[-3]} {path.stem}"] = [
            2 * np.count_nonzero(mask & first) / (np.count_nonzero(mask) + np.count_nonzero(first))
            for mask in masks
        ]
    return found
