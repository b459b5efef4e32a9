"""Several measures in one call: all must succeed, or any may."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.cli import run_cli
from factories.decide import AB, vector

BOTH = ("--value", "dice", "--value", "hd95", "--margin", "0.01", "--margin", "1")
WAYS = ("--better", "higher", "--better", "lower")


def write(path: Path, dice: np.ndarray, hd95: np.ndarray) -> Path:
    """Arm A, and B as its difference from it, in two measures."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("patient", "replicate", "arm", "dice", "hd95"))
        for (p, r), d in np.ndenumerate(dice):
            base = 0.7 + 0.01 * p - 0.002 * r, 8 + 0.3 * p + 0.1 * r
            rows.writerow((f"p{p}", r, "A", *base))
            rows.writerow((f"p{p}", r, "B", base[0] + d, base[1] + hd95[p, r]))
    return path


def found(scores: Path, *more: str) -> dict[str, Any]:
    code, out, _ = run_cli("decide", scores, *AB, *BOTH, *WAYS, *more, "--json")
    assert code == 0
    return json.loads(out)  # type: ignore[no-any-return]


PATTERN = vector() - vector().mean()
GAIN, NOTHING = 0.02 + 0.3 * PATTERN, 0.02 * PATTERN


@pytest.mark.parametrize(
    ("dice", "hd95", "word"),
    [
        (GAIN, -100 * GAIN, "helps"),
        (-GAIN, 100 * GAIN, "harms"),
        (GAIN, 100 * GAIN, "undecided"),
        (GAIN, 10 * NOTHING, "undecided"),
        (NOTHING, 10 * NOTHING, "no useful effect"),
        (0.1 * GAIN, -10 * GAIN, "helps, by less than the margin"),
        (0.1 * GAIN, 10 * NOTHING, "no useful effect"),
        (GAIN, -10 * GAIN, "helps"),
    ],
)
def test_all_must_succeed(tmp_path: Path, dice: Any, hd95: Any, word: str) -> None:
    about = found(write(tmp_path / "scores.csv", dice, hd95))
    assert about["word"] == word
    assert about["all_must_succeed"] is True
    assert list(about["measures"]) == ["dice", "hd95"]
    assert about["measures"]["dice"]["effects"][0]["comparisons"] is None, "nothing is adjusted"


def test_any_may_succeed(tmp_path: Path) -> None:
    about = found(write(tmp_path / "scores.csv", vector(), 10 * NOTHING), "--any")
    assert (about["word"], about["verdict"]) == (None, None)
    first, second = (of["effects"][0] for of in about["measures"].values())
    assert (first["comparisons"], second["comparisons"]) == (2, 2)
    assert first["p_adjusted"] == pytest.approx(2 * 0.0382412, abs=2e-7)
    assert (first["word"], second["word"]) == ("undecided", "no useful effect")


def test_the_candidate_may_be_left_out_where_there_are_two_arms(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", GAIN, -100 * GAIN)
    code, out, _ = run_cli("decide", scores, "--baseline", "A", *BOTH, *WAYS, "--any")
    assert code == 0
    assert out.count("adjusted for 2 comparisons") >= 2


def test_as_printed(tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", GAIN, -100 * GAIN)
    out = run_cli("decide", scores, *AB, *BOTH, *WAYS)[1]
    first, *rest = out.splitlines()
    assert first == "B against A, all of dice, hd95: helps. Every measure by itself:"
    assert sum(line.startswith("B against A: helps; mean difference in dice") for line in rest) == 1
    assert any("(lower is better): helps; mean difference in hd95" in line for line in rest)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            BOTH[:6],
            "--margin must be given once for each --value, in their order, but got 1 for 2",
        ),
        (
            (*BOTH, "--better", "higher"),
            "--better must be given once for each --value, in their order, but got 1 for 2",
        ),
        (
            ("--value", "dice", "--value", "dice", *BOTH[4:], *WAYS),
            "--value must name each column once, but got dice, dice",
        ),
        ((*BOTH, *WAYS, "-o", "x.png"), "--output draws one measure, but got 2 of --value"),
        (
            (*BOTH, *WAYS, "--looked-at", "1"),
            "several of --value go with one --candidate and one look, but got more",
        ),
        (
            ("--value", "dice", "--margin", "0.01", "--margin", "1"),
            "--margin must be given once for each --value, in their order, but got 2 for 1",
        ),
    ],
)
def test_mistakes(tmp_path: Path, typed: tuple[str, ...], said: str) -> None:
    scores = write(tmp_path / "scores.csv", GAIN, GAIN)
    code, out, err = run_cli("decide", scores, *AB, *typed)
    assert (code, out) == (2, "")
    assert said in err
